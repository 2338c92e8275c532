"""Whether training data holds what a benchmark asks."""
