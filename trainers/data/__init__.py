"""Training data: rows in the shape of their stage, and mixtures of them; the bundled data lies here."""
