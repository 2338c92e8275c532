"""Answers that are spans of a text, or numbers out of it."""
