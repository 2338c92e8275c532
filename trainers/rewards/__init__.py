"""Rewards of completions: who verifies them, and whether the policy games them."""
