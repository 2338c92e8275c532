"""Chat templates with their training templates, and the labels that are made with them."""
