"""The seal on held-out suites: every look is written down, samples stay closed (docs/unseen.md)."""
