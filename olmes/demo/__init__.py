"""What `olmes demo` shows: recorded answers of real models, replayed, and a live model on a quiz."""
