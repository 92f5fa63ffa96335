"""Data that others publish figures on, read from the folders in which they are distributed."""
