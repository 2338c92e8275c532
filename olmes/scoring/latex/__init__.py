"""Answers in LaTeX: found, normalized and compared, as the MATH benchmark's protocols do."""
