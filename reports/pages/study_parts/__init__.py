"""Sections of the page of a study that have a module of their own."""
