"""Trainers whose every checkpoint is scored by itself: SFT, DPO, RLVR, and the hook."""
