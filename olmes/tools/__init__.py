"""Small tools that know nothing of evaluation: JSON lines, hashes, locks, folders, visible text."""
