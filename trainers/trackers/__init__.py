"""Trackers (W&B, TensorBoard, MLflow, Trackio): the log and the scores of a training, one run each."""
