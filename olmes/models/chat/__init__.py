"""How a chat becomes the text that a model reads, and whether a thought begins there."""
