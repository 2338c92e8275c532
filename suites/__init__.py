"""Bundled suites, one TOML file each."""
