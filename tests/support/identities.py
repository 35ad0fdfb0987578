"""Tracks of people whose descriptions are known."""

SAME = 0.45

WITHIN = 0.2
"""From a person's middle to a portrait; between two of them √2 times that."""
