"""A paper's published tables, and a model's numbers beside them."""
