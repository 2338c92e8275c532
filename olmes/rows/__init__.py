"""Data sets that models are trained on: files and sets of the hub, read in pieces."""
