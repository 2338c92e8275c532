"""What is fast, measured. `python -m bench` prints every table; each module runs alone too."""
