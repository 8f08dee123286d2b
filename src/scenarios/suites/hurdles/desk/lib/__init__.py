"""Modules that the desk's programs cannot do without."""
