"""Preference pairs by a panel of judges: answers of a pool, ratings on four aspects, pairs, biases."""
