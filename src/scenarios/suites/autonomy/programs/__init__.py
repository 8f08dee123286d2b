"""Programs that run in the machines: copied there as text, with nothing but Python's standard library."""
