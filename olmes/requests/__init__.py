"""From a plan to every response: from the journal, the cache, a recording, or the model."""
