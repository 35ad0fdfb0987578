"""A video → frames → faces → tracks → emotions → timeline. It does not know how a classifier is built."""
