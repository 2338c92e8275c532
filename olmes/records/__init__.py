"""What a run leaves on disk: its one schema, reading it, and the numbers in it."""
