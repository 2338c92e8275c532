"""IFEval's 25 instructions."""
