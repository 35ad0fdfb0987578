"""Tracks of people with known embeddings."""

SAME, PERHAPS = 0.40, 0.55

WITHIN = 0.2
"""From a person's middle to a portrait; between two of them √2 times that."""
