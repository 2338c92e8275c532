"""Comparing two runs: first why their numbers differ, then by how much."""

from olmes.comparison.compare import compare_runs

__all__ = ["compare_runs"]
