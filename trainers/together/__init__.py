"""Processes that train together: who they are, where they meet, and how they are launched."""
