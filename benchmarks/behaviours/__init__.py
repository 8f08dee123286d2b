"""Labelled trials for the instrument of behaviours, and how often it is right about them."""
