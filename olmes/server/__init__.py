"""The results server: one place where every run lands (docs/server.md)."""
