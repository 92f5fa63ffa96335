"""The modules of a plan and their weights."""
