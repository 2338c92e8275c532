"""A mixture of training data refined over rounds of ablations: docs/mixing.md."""
