"""Mathematics in Python's notation: read without being evaluated, and compared."""
