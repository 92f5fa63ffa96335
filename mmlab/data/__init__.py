"""Datasets become batches: read, in a seeded order, or kept as tables."""
