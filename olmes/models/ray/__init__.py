"""One model run by several engines on Ray."""
