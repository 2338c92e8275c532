"""What is kept: the database, the artifacts, uploads under way, ledgers, backups."""
