"""One model on one plan: asked, scored, judged, and written down as a record."""
