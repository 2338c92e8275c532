"""What the server refuses, in a form that a client can show."""

from __future__ import annotations


class RefusedError(Exception):
    """A request that is not carried out.

    Attributes:
        status: the HTTP status: 4xx, or 5xx where the server's machine is at fault.
        message: one sentence with the remedy.
        field: the part of the record or request at fault, dotted; '' where none is.
    """

    def __init__(self, status: int, message: str, field: str = "") -> None:
        # They may quote a hostile file, and an answer has to be UTF-8.
        message, field = utf8(message), utf8(field)
        super().__init__(status, message, field)
        self.status = status
        self.message = message
        self.field = field

    def to_json(self) -> dict[str, str]:
        """The body of the answer."""
        return {"field": self.field, "message": self.message}


def utf8(text: str) -> str:
    """A text with a question mark for each lone surrogate."""
    return text.encode("utf-8", "replace").decode("utf-8")
