"""What of a response is thought and what is the answer."""

from olmes.reasoning.families import FAMILIES, Marks, marks_in, parse_marks
from olmes.reasoning.split import ANY, Reader, split

__all__ = ["ANY", "FAMILIES", "Marks", "Reader", "marks_in", "parse_marks", "split"]
