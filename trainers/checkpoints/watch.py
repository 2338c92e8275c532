"""Scoring checkpoints from outside: whatever writes them knows nothing of it.

A folder is scanned again and again. A checkpoint is taken when it is complete and did not change
between two scans; from there on everything is as with the hook: files staged, a job in the queue, a
process that scores. A hook and a watcher of one folder share that queue, so nothing is scored twice.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from olmes.comparison.items import SharedItems
from olmes.errors import OlmesError
from olmes.models.checkpoint.completeness import Trouble, sharded, trouble_of
from olmes.models.checkpoint.folder import LocalCheckpoint
from olmes.models.checkpoint.lineage import LINEAGE_FILE, lineage, read_json
from olmes.models.checkpoint.trainer_formats import format_of
from olmes.models.hf.model import HFModel
from olmes.tools.locks import Presence
from olmes.trainers.checkpoints.best import publish
from olmes.trainers.checkpoints.folders import CheckpointFolder
from olmes.trainers.checkpoints.lineage import Steps
from olmes.trainers.checkpoints.manifest import Training
from olmes.trainers.checkpoints.queue import Job, Queue
from olmes.trainers.checkpoints.scoring import CheckpointScoring, ScoringOptions
from olmes.trainers.checkpoints.search import Found, checkpoints_within, has_weights

Sizes = tuple[tuple[str, int, int], ...]
"""Name, size and time of every file of a folder."""
SETTLE_SECONDS = 2.0
"""Between the two scans of `once`."""
TICK_SECONDS = 0.5
SHOWN = 8
"""Names in a sentence about what is passed over."""


class FolderWatch:
    """Watches the folder a trainer writes its checkpoints into.

    Args:
        folder: the trainer's.
        options: what is run on which checkpoints.
        interval: seconds between two scans.
        say: where lines go.

    Raises:
        OlmesError: there is no such folder, or what is asked for is refused.
    """

    def __init__(
        self,
        folder: Path,
        options: ScoringOptions,
        *,
        interval: float = 10.0,
        say: Callable[[str], None] = print,
    ) -> None:
        if not folder.is_dir():
            raise OlmesError(f"there is no folder {folder}; give the one the trainer writes to.")
        options.check()
        self.folder = folder.resolve()
        self.interval, self.say = interval, say
        self.scoring = CheckpointScoring(options, folder, say=say)
        self.scoring.join_training()
        self.seen: dict[Path, Sizes] = {}
        self.refused: dict[Path, tuple[Sizes, str]] = {}
        """Folders that have settled, and why they cannot be scored."""
        self.told: set[str] = set()
        """What was said of folders that are passed over."""

    @property
    def queue(self) -> Queue:
        """The training's jobs."""
        return self.scoring.queue

    def scan(self) -> None:
        """Queue what is complete and has not changed since the last scan; report a refusal once."""
        found = checkpoints_within(self.folder, store=Path(self.scoring.options.request.out))
        self.tell(found)
        there = {one.folder for one in found.checkpoints}
        self.refused = {path: why for path, why in self.refused.items() if path in there}
        for one in found.checkpoints:
            sizes = sizes_of(one.folder)
            settled = self.seen.get(one.folder) == sizes
            self.seen[one.folder] = sizes
            if not settled or self.refused.get(one.folder, (None, ""))[0] == sizes:
                continue
            trouble = self.trouble(one)
            if trouble is None:
                self.take(one)
            else:
                self.refused[one.folder] = sizes, trouble.reason
                again = "" if trouble.lasting else "; it is checked again when it changes"
                self.say(f"{one.label} is not taken: {trouble.reason}{again}")

    def tell(self, found: Found) -> None:
        """Say what is passed over, each once."""
        for line in passed_over(self.folder, found):
            self.tell_once(line)

    def tell_once(self, line: str) -> None:
        """Say a line, unless it was said before."""
        if line not in self.told:
            self.told.add(line)
            self.say(line)

    def trouble(self, one: CheckpointFolder) -> Trouble | None:
        """Why a checkpoint cannot be scored."""
        lent = self.scoring.options.tokenizer or one.tokenizer
        trouble = trouble_of(one.folder, tokenizer=lent is None)
        if trouble is not None and one.place and not has_weights(one.folder):
            return sharded(one.place) or trouble
        return trouble

    def take(self, one: CheckpointFolder) -> None:
        """Stage a checkpoint and queue it; report where that fails."""
        try:
            new = self.scoring.put(one, lambda: self.lineage(one))
        except (OlmesError, OSError) as error:  # removed or rewritten just now, or no room
            self.say(f"{one.label} is not taken: {error}")
            self.seen.pop(one.folder, None)
            return
        self.refused.pop(one.folder, None)
        if new:
            self.say(f"{one.label} is queued")

    def lineage(self, one: CheckpointFolder) -> Steps:
        """What a checkpoint descends from: what the watched folder says, and its own step."""
        earlier = read_json(self.folder / LINEAGE_FILE)
        if not isinstance(earlier, list):
            earlier = lineage(HFModel("", LocalCheckpoint(one.folder)))
        name = self.scoring.training
        others = [step for step in earlier if step.get("training") != name]
        return [*others, {"training": name, "step": one.step}]

    def once(self) -> list[Job]:
        """Score everything that is there, wait for it, and give how each job ended.

        Raises:
            OlmesError: the scoring process does not start.
        """
        self.scan()
        time.sleep(min(SETTLE_SECONDS, self.interval))
        self.scan()
        try:
            why = self.scoring.wait(TICK_SECONDS)
        finally:
            self.scoring.process.stop()
        # The process may have been stopped between the end of its last job and writing it down.
        if self.queue.jobs():
            publish(self.queue, Training.read(self.scoring.folder), SharedItems(each=True))
        self.scoring.reporter.report()
        self.scoring.reporter.report_best()
        if why:
            raise OlmesError(f"{why}.")
        return self.queue.jobs()

    def forever(self) -> None:
        """Watch until the process is stopped; a checkpoint in the middle is resumed the next time."""
        presence = Presence(self.scoring.folder / "present")
        next_scan = 0.0
        try:
            while True:
                try:
                    if time.monotonic() >= next_scan:
                        next_scan = time.monotonic() + self.interval
                        self.scan()
                    self.scoring.serve()
                    self.scoring.reporter.report()
                except BrokenPipeError:  # nobody reads what it says
                    raise
                except (OSError, sqlite3.OperationalError) as error:
                    # A folder that is away, a queue that is locked: days may have gone into it.
                    self.tell_once(f"something is in the way, and is tried again: {error}")
                time.sleep(TICK_SECONDS)
        finally:
            presence.leave()
            self.scoring.process.stop()


def passed_over(folder: Path, found: Found) -> list[str]:
    """What a user should know of a folder besides the checkpoints that are taken from it."""
    lines = list(found.twice)
    if not found.checkpoints and not found.passed_over:
        what = "holds no folder" if any(folder.iterdir()) else "is empty"
        lines.append(f"there is nothing to score in {folder} yet: it {what}")
    elif not found.checkpoints:
        hint = f"; {named(found.models)} holds a model: give that folder" if found.models else ""
        file = next((folder / n for n in found.passed_over if (folder / n).is_file()), None)
        whose = format_of(file) if file is not None and not hint else None
        if whose is not None and file is not None:
            hint = f"; {file.name} is {whose.name}: {whose.remedy}"
        lines.append(
            f"no folder here is named like a checkpoint; found: {named(found.passed_over)}{hint}"
        )
    elif found.models:
        lines.append(f"passed over, as no step is in the name: {named(found.models)}")
    if len(found.trainings) > 1:
        lines.append(
            f"checkpoints of {len(found.trainings)} trainings are here "
            f"({named([name or 'without a name' for name in found.trainings])}): each watched by "
            "itself has a curve of its own"
        )
    return lines


def named(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def sizes_of(folder: Path) -> Sizes:
    """What changes when a file of a folder is written."""
    found = []
    try:
        for path in folder.iterdir():
            if path.is_file():
                facts = path.stat()
                found.append((path.name, facts.st_size, facts.st_mtime_ns))
    except OSError:  # it is being removed
        return ()
    return tuple(sorted(found))
