"""Scoring checkpoints from outside: whatever writes them knows nothing of it.

A folder is looked at again and again. A checkpoint is taken when it is whole and did not change between
two looks; from there on it goes the way of the hook's: files set aside, a line in the queue, a process
that scores. A hook and a watcher of the same folder share that queue, so nothing is scored twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from olmes.client.client import check_url
from olmes.errors import OlmesError
from olmes.models.checkpoint.completeness import trouble_of
from olmes.models.checkpoint.folder import LocalCheckpoint
from olmes.models.checkpoint.lineage import LINEAGE_FILE, lineage, read_json
from olmes.models.hf.model import HFModel
from olmes.tools.locks import Presence
from olmes.trainers.checkpoints import staging as aside
from olmes.trainers.checkpoints.folders import CheckpointFolder, checkpoints_in
from olmes.trainers.checkpoints.lineage import add_lineage
from olmes.trainers.checkpoints.manifest import FILE, Keep, Training
from olmes.trainers.checkpoints.process import ScoringProcess
from olmes.trainers.checkpoints.queue import Job, Queue
from olmes.trainers.checkpoints.reporting import Teller
from olmes.trainers.checkpoints.request import EvalRequest, Policy, training_folder

Sizes = tuple[tuple[str, int, int], ...]
"""Name, size and time of every file of a folder."""
SETTLE_SECONDS = 2.0
"""Between the two looks of `once`."""
TICK_SECONDS = 0.5


class FolderWatch:
    """Watches the folder a trainer writes its checkpoints into.

    Args:
        place: the folder.
        ask: what every checkpoint is asked.
        policy: which checkpoints go first.
        tokenizer: a folder whose tokenizer is used for checkpoints without one.
        keep: which checkpoints stay set aside.
        interval: seconds between two looks.
        push: address of a results server that shows the scoring live and gets the records.
        say: where lines go.

    Raises:
        OlmesError: there is no such folder, or what is asked for is refused.
    """

    def __init__(
        self,
        place: Path,
        ask: EvalRequest,
        *,
        policy: Policy = "every",
        tokenizer: Path | None = None,
        keep: Keep = "best",
        interval: float = 10.0,
        push: str = "",
        say: Callable[[str], None] = print,
    ) -> None:
        if not place.is_dir():
            raise OlmesError(f"there is no folder {place}; give the one the trainer writes to.")
        ask.check()
        self.place, self.ask, self.policy = place.resolve(), ask, policy
        self.tokenizer, self.interval, self.say = tokenizer, interval, say
        folder = training_folder(Path(ask.out), place)
        self.queue = Queue(folder)
        if push:
            check_url(push)
        if not (folder / FILE).exists():
            Training(
                name=self.place.name, output_dir=str(self.place), cwd=str(Path.cwd()), keep=keep,
                push=push,
            ).write(folder)  # fmt: skip
        elif push:
            replace(Training.read(folder), push=push).write(folder)
        self.scorer = ScoringProcess(folder, threads=None, detached=False)
        self.teller = Teller(say)
        self.seen: dict[Path, Sizes] = {}
        self.refused: dict[Path, tuple[Sizes, str]] = {}
        """Folders that are whole enough to be judged, and why they cannot be scored."""

    def look(self) -> None:
        """Queue what is whole and has not changed since the last look; say once what is refused."""
        for one in checkpoints_in(self.place):
            sizes = sizes_of(one.folder)
            settled = self.seen.get(one.folder) == sizes
            self.seen[one.folder] = sizes
            if not settled or self.refused.get(one.folder, (None, ""))[0] == sizes:
                continue
            trouble = trouble_of(one.folder, tokenizer=self.tokenizer is None)
            if trouble is None:
                self.take(one)
            else:
                self.refused[one.folder] = sizes, trouble.reason
                waits = "" if trouble.lasting else "; it is looked at again when it changes"
                self.say(f"{one.label} is not taken: {trouble.reason}{waits}")

    def take(self, one: CheckpointFolder) -> None:
        """Set a checkpoint aside and queue it; tell where that fails."""
        try:
            new = aside.put(
                self.queue, one, self.ask, self.policy, training=self.place.name,
                tokenizer=self.tokenizer, write_beside=lambda folder: self.inherit(one, folder),
            )  # fmt: skip
        except (OlmesError, OSError) as error:  # removed or rewritten just now, or no room
            self.say(f"{one.label} is not taken: {error}")
            self.seen.pop(one.folder, None)
            return
        self.refused.pop(one.folder, None)
        if new:
            self.say(f"{one.label} is queued")

    def inherit(self, one: CheckpointFolder, folder: Path) -> None:
        """Write a checkpoint's lineage, where it has none: what is told here, and its own step."""
        told = read_json(self.place / LINEAGE_FILE)
        if not isinstance(told, list):
            told = lineage(HFModel("", LocalCheckpoint(one.folder)))
        earlier = [step for step in told if step.get("training") != self.place.name]
        own = {"training": self.place.name, "step": one.step}
        add_lineage(folder, [*earlier, own])

    def once(self) -> list[Job]:
        """Score everything that is there, wait for it, and give how each job ended."""
        self.look()
        time.sleep(min(SETTLE_SECONDS, self.interval))
        self.look()
        try:
            while self.queue.waiting() and not self.scorer.hopeless:
                self.tend()
                time.sleep(TICK_SECONDS)
        finally:
            self.scorer.stop()
        self.teller.tell(self.queue)
        self.teller.tell_best(self.queue)
        if self.scorer.hopeless:
            raise OlmesError(
                f"the scoring process does not come up; see {self.queue.folder}/scorer.log."
            )
        return self.queue.jobs()

    def forever(self) -> None:
        """Watch until the process is stopped; what is being scored then goes on the next time."""
        presence = Presence(self.queue.folder / "present")
        next_look = 0.0
        try:
            while True:
                if time.monotonic() >= next_look:
                    self.look()
                    next_look = time.monotonic() + self.interval
                self.tend()
                time.sleep(TICK_SECONDS)
        finally:
            presence.leave()
            self.scorer.stop()

    def tend(self) -> None:
        """See to it that what waits is scored, and tell what has ended."""
        if self.queue.waiting():
            self.scorer.keep_alive(self.queue.progress())
        self.teller.tell(self.queue)


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
