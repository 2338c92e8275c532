"""Training data made by models: instructions of personas, preferences of a panel of judges."""
