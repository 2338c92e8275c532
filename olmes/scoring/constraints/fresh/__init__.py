"""Instructions written for the fresh exam, in no published benchmark."""
