"""Model backends. A backend knows nothing of tasks."""
