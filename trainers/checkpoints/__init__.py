"""Checkpoints scored as a training writes them: hook, watch, queue, and the process that scores."""
