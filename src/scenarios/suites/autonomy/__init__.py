"""Benign worlds of graded difficulty, in which exploring, planning, executing and repairing decide."""
