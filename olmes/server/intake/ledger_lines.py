"""A line of a ledger that comes with runs: every field that is shown, searched or kept by itself."""

from __future__ import annotations

from typing import Annotated, Any, Required, TypedDict

from msgspec import Meta

from olmes.records.check import FieldError, converted
from olmes.records.schema import LARGEST, Asker, Count, DevScore, Sha256, Time
from olmes.seal.ledger import Entry
from olmes.server.intake.fields import SCORE, wrong_size, wrong_time
from olmes.tools import json_text
from olmes.tools.visible_text import unfit_name
from olmes.types import JsonObject


class KnownLine(TypedDict, total=False):
    """What is known of a line; a newer olmes may write more."""

    number: Required[Annotated[int, Meta(ge=1, le=LARGEST)]]
    hash: Required[Sha256]
    time: Required[Time]
    event: Required[Annotated[str, Meta(min_length=1, max_length=40)]]
    run: Required[Annotated[str, Meta(max_length=200)]]
    """The run that was looked at; "" for a look that was none of a run."""
    who: str
    asked_by: Asker
    reason: str
    tasks: list[str]
    limit: Annotated[int, Meta(ge=1, le=LARGEST)] | None
    sample_data: bool
    model: str
    fingerprint: str
    family: str
    lineage: list[JsonObject]
    looks_before: Count
    dev: DevScore | None
    record: Sha256


def check_line(entry: Entry) -> None:
    """Hold a line against what a store can keep and show.

    Raises:
        JsonTextError: it is nested too deeply, or a number is none.
        FieldError: a field is not what olmes writes there. Texts in the asker's words may be any.
    """
    json_text.check(entry)
    line: Any = converted(entry, KnownLine)
    for name in ("event", "run"):
        if why := unfit_name(line[name], 200):
            raise FieldError(name, why)
    if why := wrong_time(line["time"]):
        raise FieldError("time", why)
    if dev := line.get("dev"):
        for part in SCORE:
            if why := wrong_size(getattr(dev, part)):
                raise FieldError(f"dev.{part}", why)
