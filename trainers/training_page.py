"""`training.html`: scores and logs of a stage that is trained alone, or of a whole chain.

It is written when a stage ends or is stopped, and now and then while it runs. A stage of a chain is
on the chain's page: `chain.json` beside the stages' folders says which these are.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from olmes.errors import OlmesError
from olmes.tools import jsonl
from olmes.trainers.recipes.stages import Recipe, Stage
from olmes.trainers.rewards.watch import MET, read_alarms
from olmes.trainers.stage_folder import DONE, store_of
from olmes.trainers.together.processes import is_first
from olmes.trainers.train_log import FILE as LOG
from olmes.trainers.train_log import read_log, scored_rows

if TYPE_CHECKING:
    from olmes.records.record import Record
    from olmes.reports.training_curves import StageLog

PAGE = "training.html"
CHAIN = "chain.json"
"""The name of a chain, and where the records of its stages lie."""
START = "start.json"
"""Names the record of the model that a chain starts from."""
UNSEEN = "unseen.json"
"""Names the record of a chain's look at the unseen suite."""
NAMES = {"sft": "SFT", "dpo": "DPO", "rlvr": "RLVR", "reward": "Reward model"}
EVERY = 20.0
"""Seconds between two pages of a training that writes no checkpoint."""
SHARE = 50
"""A page is written again after so many times as long as the last one took: 2 % at most."""


@dataclass(frozen=True, kw_only=True)
class StagePlace:
    """A stage of a page."""

    stage: Stage
    folder: Path
    store: Path
    """Where the records of its checkpoints lie."""


def write_stage_page(recipe: Recipe, out: Path) -> Path | None:
    """Write the page of a stage, or that of the chain it is in.

    Args:
        recipe: of the stage.
        out: its folder.

    Returns:
        The page; None where there is neither a log nor a score yet.

    Raises:
        OlmesError: samples of a record are damaged.
    """
    chain = out.parent / CHAIN
    if chain.is_file():
        told = next(jsonl.read(chain))
        places = [
            StagePlace(
                stage=one["stage"], folder=out.parent / one["stage"], store=Path(one["store"])
            )
            for one in told["stages"]
        ]
        if any(place.folder == out for place in places):
            return write_training_page(told["name"], places, out.parent)
    place = StagePlace(stage=recipe.stage, folder=out, store=store_of(recipe, out))
    return write_training_page(recipe.name, [place], out)


def note_chain(name: str, places: Sequence[StagePlace], out: Path) -> None:
    """Write down what a chain consists of, for its page."""
    if is_first():
        out.mkdir(parents=True, exist_ok=True)
        stages = [{"stage": one.stage, "store": str(one.store.resolve())} for one in places]
        jsonl.write_atomically(out / CHAIN, jsonl.dumps({"name": name, "stages": stages}) + "\n")


def write_training_page(title: str, places: Sequence[StagePlace], out: Path) -> Path | None:
    """Write the page of some stages in a row, steps counted on from stage to stage.

    Args:
        title: of the page.
        places: the stages, in order.
        out: the folder of the page; a chain's start and its unseen look are named there.

    Returns:
        The page; None where there is neither a log nor a score yet.

    Raises:
        OlmesError: samples of a record are damaged.
    """
    from olmes.reports.checkpoints_page import write_checkpoints_page

    stages: list[StageLog] = []
    alarms: list[str] = []
    folders: list[tuple[float, Path]] = []
    before = 0.0
    folders += record_named(out / START, before)
    for place in places:
        stage = stage_log(place, before)
        rows = scored_rows(place.folder, place.store)
        folders += [(before + step, Path(folder)) for step, folder in rows]
        alarms += [f"{stage.name}: {row['text']}." for row in read_alarms(place.folder)]
        before += stage.last
        stages.append(stage)
    folders += record_named(out / UNSEEN, before)
    points, gone = loaded(folders)
    if not points and not any(stage.rows for stage in stages):
        return None
    return write_checkpoints_page(
        points, out / PAGE, alarms=alarms, title=title, stages=stages, gone=gone
    )


def stage_log(place: StagePlace, before: float) -> StageLog:
    """The log of a stage, with what is known of its held-out constraints."""
    from olmes.reports.training_curves import StageLog

    return StageLog(
        name=NAMES[place.stage],
        kind=place.stage,
        rows=[*read_log(place.folder / LOG), *read_log(place.folder / MET)],
        before=before,
        done=(place.folder / DONE).is_file(),
    )


def record_named(marker: Path, step: float) -> list[tuple[float, Path]]:
    """The record that a file of the chain names, at a step; none where there is no such file."""
    if not marker.is_file():
        return []
    return [(step, Path(next(jsonl.read(marker))["record"]))]


def loaded(folders: Sequence[tuple[float, Path]]) -> tuple[list[tuple[float, Record]], list[str]]:
    """The records in some folders, and the names of those that cannot be read any more."""
    from olmes.records.record import Record

    points, gone = [], []
    for step, folder in folders:
        try:
            points.append((step, Record.load(folder)))
        except OlmesError:
            gone.append(folder.name)
    return points, gone


def page_line(write: Callable[[], Path | None]) -> str:
    """What the last line of a training says of its page: where it is, or why there is none.

    By the first process alone. A page that cannot be written is no reason for a training to fail.
    """
    if not is_first():
        return ""
    try:
        page = write()
    except (OlmesError, OSError) as error:
        return f"; its page could not be written: {error}"
    return f"; its page: {page}" if page else ""


def keep_page(recipe: Recipe, out: Path) -> None:
    """Leave the page of a stage that is stopped; whatever stopped it is what the user must see."""
    with contextlib.suppress(Exception):
        if is_first():
            write_stage_page(recipe, out)


class PageRefresh(TrainerCallback):  # type: ignore[misc]
    """Writes the page at checkpoints, and now and then between them, as long as that costs little."""

    def __init__(self, recipe: Recipe, out: Path, say: Callable[[str], None]) -> None:
        self.recipe = recipe
        self.out = out
        self.say = say
        self.ended = 0.0
        """When the last page was done."""
        self.cost = 0.0
        """Seconds that it took."""
        self.failed = False

    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Write it, so that a training without checkpoints has one too."""
        self.refresh(state, EVERY)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Write it with the scores that have come in."""
        self.refresh(state, 0.0)

    def refresh(self, state: Any, every: float) -> None:
        """Write the page, unless it is too early; never raises into the training."""
        began = time.monotonic()
        early = self.ended and began - self.ended < max(every, SHARE * self.cost)
        if not state.is_world_process_zero or self.failed or early:
            return
        try:
            write_stage_page(self.recipe, self.out)
        except Exception as error:
            self.failed = True
            self.say(f"the page of the training cannot be written: {error}; the training continues")
        self.ended = time.monotonic()
        self.cost = self.ended - began
