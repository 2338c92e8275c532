"""What a run would otherwise hold in memory until its end: a file without a name, read by number.

The file is gone when the process is, however it ends; a run that is resumed makes its rows again
from the journal. What is under seal lies in it compressed.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
import zlib
from array import array
from pathlib import Path


class Spool:
    """Byte strings by number, each put as often as it changes. Safe for several threads.

    Costs 16 bytes of memory a number.
    """

    def __init__(self, folder: Path, count: int, *, packed: bool = False) -> None:
        # Beside the record, where there must be room for as much anyway; /tmp may be memory.
        self.file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (lives as long as the run)
        self.packed = packed
        self.places = array("q", [-1]) * count
        self.sizes = array("L", [0]) * count
        self.end = 0
        self.writing = False
        self.lock = threading.Lock()

    def put(self, number: int, content: bytes) -> None:
        """Keep `content`; what was kept under the number before is forgotten."""
        raw = zlib.compress(content, 1) if self.packed else content
        with self.lock:
            if not self.writing:
                self.file.seek(self.end)
                self.writing = True
            self.file.write(raw)
            self.places[number], self.sizes[number] = self.end, len(raw)
            self.end += len(raw)

    def get(self, number: int) -> bytes | None:
        """What was kept last; None where nothing was."""
        with self.lock:
            place = self.places[number]
            if place < 0:
                return None
            self.writing = False
            self.file.seek(place)
            raw = self.file.read(self.sizes[number])
        return zlib.decompress(raw) if self.packed else raw

    def close(self) -> None:
        """Give the file back."""
        with contextlib.suppress(OSError):  # of a full disk, which was reported; nothing is kept
            self.file.close()
