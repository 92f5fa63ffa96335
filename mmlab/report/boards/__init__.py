"""Boards: what reports show of runs side by side."""
