"""Bundled benchmarks, one file each."""
