"""Where programs run that a model wrote: no network, no files but their own, hard limits."""
