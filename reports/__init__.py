"""Records in, one self-contained HTML file out."""
