"""What scorers share, and the processes they run in."""
