"""The confidence level of all intervals."""

LEVEL = 0.95
"""Confidence level of every interval in the tables."""
