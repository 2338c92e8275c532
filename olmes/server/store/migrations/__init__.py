"""Alembic's migrations of the server's database, applied when a store is opened."""
