"""The records of one command, sent to a results server; those that do not get there are said.

What the server does, or does not, ends nothing here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from olmes.client.live import NotPushedError, command, push_record

PATIENCE = 60.0
"""Seconds for which a server that cannot be reached is waited for."""
BRIEFLY = 5.0
"""The same, of a server that did not take the record before."""
TIMEOUT = 120.0
"""Seconds until a request that is not answered is given up: a server may check a large run for long."""
SHORT_TIMEOUT = 10.0
"""The same, of a server that did not take the record before."""


class Sender:
    """Sends the records of one command, each when it is there, and at the end those that are missing.

    After a server was waited for in vain it is asked only briefly, until it takes a record again.

    Args:
        url: address of the server; the token is $OLMES_TOKEN's.
        say: where lines go.
    """

    def __init__(self, url: str, *, say: Callable[[str], None]) -> None:
        self.url = url
        self.say = say
        self.away = False
        self.missing: dict[Path, str] = {}
        """Folders of the records that the server lacks, and why."""

    def send(self, folder: Path) -> None:
        """Send a record; say what became of it."""
        patience, timeout = (0.0, SHORT_TIMEOUT) if self.away else (PATIENCE, TIMEOUT)
        if not self._sent(folder, patience, timeout):
            self.say(self.missing[folder])

    def finish(self) -> bool:
        """Send once more what did not get there, and say what still is missing.

        Returns:
            Whether the server has every record.
        """
        waiting = list(self.missing)
        for folder in waiting:
            # One server for all of them: away for one is away for the others.
            if not self._sent(folder, BRIEFLY, SHORT_TIMEOUT) and self.away:
                break
        if self.missing:
            runs = "1 run is" if len(self.missing) == 1 else f"{len(self.missing)} runs are"
            self.say(f"{runs} not on the server: `{command(list(self.missing), self.url)}`")
        return not self.missing

    def _sent(self, folder: Path, patience: float, timeout: float) -> bool:
        try:
            pushed = push_record(folder, self.url, patience=patience, timeout=timeout, say=self.say)
        except NotPushedError as error:
            self.away = not error.refused
            self.missing[folder] = str(error)
            return False
        self.away = False
        self.missing.pop(folder, None)
        self.say(f"{'pushed ' if pushed.new else 'present'} {pushed.url}")
        return True
