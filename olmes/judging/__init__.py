"""Judges: questions about responses, and who answers them."""
