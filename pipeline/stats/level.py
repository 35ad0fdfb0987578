"""The confidence level of all intervals."""

LEVEL = 0.95
"""Of every interval in these tables."""
