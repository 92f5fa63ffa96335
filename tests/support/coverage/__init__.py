"""Simulated coverage of the intervals of mmlab.statistics: worlds whose truth is known."""
