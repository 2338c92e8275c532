"""The instructions of IFBench, which IFEval-OOD is scored by."""
