"""Models run by transformers in this process: batches, a prompt cache, generation, log-likelihood."""
