"""The report: stored results as frames, intervals, cards, and files to hand on. Knows no torch."""
