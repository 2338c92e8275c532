"""Processes that scorers run in, each answer under a hard limit of time and memory."""
