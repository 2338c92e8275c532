"""Checkpoints as files: where they are, whether they are whole, what identifies them."""
