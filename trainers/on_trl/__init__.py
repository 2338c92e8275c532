"""The stages that TRL trains: supervised, preferences, reward models, GRPO."""
