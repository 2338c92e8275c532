"""What a benchmark is: task, formulation, metrics, suite, and the registry that finds them by name."""
