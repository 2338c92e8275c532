"""Verifiable constraints on a response."""
