"""`trackers.json` in a stage's folder: which runs of trackers belong to it, and what was sent.

A training that resumes goes on in the same run of each tracker; a score is sent once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from olmes.tools.jsonl import dumps, write_atomically

FILE = "trackers.json"


@dataclass
class Memory:
    """What the first process remembers of a stage's trackers."""

    folder: Path
    runs: dict[str, str] = field(default_factory=dict)
    """By tracker, what names its run there."""
    sent: list[str] = field(default_factory=list)
    """Scores that the trackers have."""

    @classmethod
    def read(cls, folder: Path) -> Memory:
        """What was written before, or nothing."""
        file = folder / FILE
        if not file.is_file():
            return cls(folder)
        return cls(folder, **json.loads(file.read_text("utf-8")))

    def write(self) -> None:
        """Write it into the stage's folder."""
        write_atomically(self.folder / FILE, dumps({"runs": self.runs, "sent": self.sent}) + "\n")

    def keep_run(self, tracker: str, identifier: str) -> str:
        """Remember what names a run, if nothing does yet; give what is remembered."""
        if tracker not in self.runs:
            self.runs[tracker] = identifier
            self.write()
        return self.runs[tracker]
