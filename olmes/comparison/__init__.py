"""Runs held against each other: two, many, the checkpoints of a training, dev against unseen."""
