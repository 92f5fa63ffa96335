"""Intervals and comparisons: NumPy and SciPy, no torch, no SQL."""
