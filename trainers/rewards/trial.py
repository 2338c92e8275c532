"""Every row's verifiers tried once on an empty answer, before anything is trained.

A scorer must say of any text what it is worth, of the empty one too. Where it crashes instead, the
row lacks something (a field of `doc`), and every completion of its prompt would be generated in vain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from olmes.errors import OlmesError
from olmes.tools.hashing import content_hash
from olmes.trainers.rewards.kinds import Verifier
from olmes.trainers.rewards.verifiers import RewardedResponse, Row, VerifierRewards, why
from olmes.trainers.together.processes import told
from olmes.types import Response

MOST = 50_000
"""Verifiers that are tried; of more, one of each shape and an even sample."""
FIRST = 16
"""Verifiers that are tried first, so that one that hangs is found before thousands hang."""
NAMED = 3
"""Rows that are named on the screen."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A row whose verifier crashes."""

    row: int
    task: str
    reason: str


def tried(
    rows: Any, rewards: VerifierRewards, *, where: Callable[[Row], str], say: Callable[[str], None]
) -> Any:
    """The rows whose verifiers work; the others are named, counted and left out.

    Args:
        rows: a data set of RLVR rows.
        rewards: entered.
        where: says which row of the data a row is.
        say: gets a line about what is left out.

    Raises:
        OlmesError: no row is left, or a scorer works for none of several rows.
    """
    faults = told("the first try of every verifier", lambda: find_faults(rows, rewards, where))
    if not faults:
        return rows
    bad = {fault.row for fault in faults}
    named = "; ".join(f"{fault.reason}" for fault in faults[:NAMED])
    more = f"; and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
    say(
        f"{len(bad)} of {len(rows)} rows left out, because their scorer crashes on an empty answer: "
        f"{named}{more}"
    )
    return rows.select([index for index in range(len(rows)) if index not in bad])


def find_faults(
    rows: Sequence[Row], rewards: VerifierRewards, where: Callable[[Row], str]
) -> list[Fault]:
    """The faults, one a row, in order.

    Raises:
        OlmesError: as `tried`.
    """
    users: dict[str, list[int]] = {}
    by_key: dict[str, Verifier] = {}
    count: dict[str, int] = {}
    for index, row in enumerate(rows):
        for verifier in rewards.verifiers(row):
            key = content_hash([verifier.task, verifier.doc, verifier.metric])
            if key not in by_key:
                by_key[key] = verifier
                count[verifier.task] = count.get(verifier.task, 0) + 1
            users.setdefault(key, []).append(index)
    crashed = crashes({key: by_key[key] for key in sample(by_key)}, rewards)
    faults: dict[int, Fault] = {}
    for key, reason in crashed.items():
        for index in users[key]:
            faults.setdefault(index, Fault(index, by_key[key].task, reason))
    refuse_scorers([by_key[key].task for key in crashed], count, crashed)
    if len(faults) == len(rows):
        raise OlmesError(
            f"the scorers crash on an empty answer for every row ({next(iter(crashed.values()))}); "
            "correct the rows or the scorers."
        )
    found = [faults[index] for index in sorted(faults)]
    return [named(fault, rows[fault.row], where) if at < NAMED else fault
            for at, fault in enumerate(found)]  # fmt: skip


def named(fault: Fault, row: Row, where: Callable[[Row], str]) -> Fault:
    """A fault with its row and its scorer in the reason."""
    place = where(row) or f"the row that asks {opening(row)!r}"
    return Fault(fault.row, fault.task, f"{place} ({fault.task}: {fault.reason})")


def opening(row: Row) -> str:
    """The first words of a prompt."""
    prompt = row.get("prompt") or ""
    text = prompt if isinstance(prompt, str) else str(prompt[-1]["content"])
    return text if len(text) <= 60 else f"{text[:60]}..."


def refuse_scorers(crashed: Sequence[str], count: dict[str, int], reasons: dict[str, str]) -> None:
    """Refuse a scorer that crashes for each of several items: then it is not the rows' fault.

    Raises:
        OlmesError: one does.
    """
    for task, reason in zip(crashed, reasons.values(), strict=True):
        if crashed.count(task) == count[task] > 1:
            raise OlmesError(
                f"the scorer of {task} crashes on an empty answer, whatever the row ({reason}); a "
                "scorer gives a number for any text: correct it, or the rows."
            )


def sample(by_key: dict[str, Verifier]) -> list[str]:
    """The verifiers that are tried: all, or of very many one of each shape and every n-th."""
    keys = list(by_key)
    if len(keys) <= MOST:
        return keys
    shapes = {shape(by_key[key]): key for key in reversed(keys)}
    return list(dict.fromkeys([*shapes.values(), *keys[:: -(-len(keys) // MOST)]]))


def shape(verifier: Verifier) -> tuple[str, tuple[tuple[str, str], ...]]:
    """A verifier's task, and the names and types of its item's fields."""
    fields = ((str(name), type(value).__name__) for name, value in verifier.doc.items())
    return verifier.task, tuple(sorted(fields))


def crashes(verifiers: dict[str, Verifier], rewards: VerifierRewards) -> dict[str, str]:
    """Why verifiers crash on an empty answer, by key; of a judge one thing is asked.

    Raises:
        OlmesError: a scorer runs into its limit on most; the judge does not answer.
    """
    found: dict[str, str] = {}
    left = list(verifiers)
    size = FIRST
    while left:
        chunk, left = left[:size], left[size:]
        sinks = {key: RewardedResponse() for key in chunk}
        for key, sink in sinks.items():
            try_once(verifiers[key], rewards, sink)
        rewards.pool.join()
        slow = [key for key, sink in sinks.items() if sink.timeouts]
        if len(slow) >= FIRST // 2 and 2 * len(slow) >= len(chunk):
            raise OlmesError(
                f"the scorer of {verifiers[slow[0]].task} is not done with an empty answer within its "
                f"limit ({sinks[slow[0]].timeouts[0]}), row after row; correct it."
            )
        for key, sink in sinks.items():
            if sink.crashes or (verifiers[key].metric not in sink.values and not sink.timeouts):
                found[key] = why(verifiers[key], sink)
        size *= 4
    ask_the_judge([verifier for key, verifier in verifiers.items() if key not in found], rewards)
    return found


def ask_the_judge(verifiers: Sequence[Verifier], rewards: VerifierRewards) -> None:
    """Refuse a judge that does not answer one question.

    Raises:
        OlmesError: it does not.
    """
    tasks = rewards.pool.tasks
    for verifier in verifiers:
        if tasks[verifier.task].judged:
            questions = tasks[verifier.task].questions(verifier.doc, Response())
            if questions:
                [answers] = rewards.judge.judgements([questions[:1]])
                if answers[0].error:
                    raise OlmesError(f"the judge gave {answers[0].error}")
                return


def try_once(verifier: Verifier, rewards: VerifierRewards, sink: RewardedResponse) -> None:
    """Have a verifier say what an empty answer is worth; of a judged one its questions are made."""
    task = rewards.pool.tasks[verifier.task]
    if not task.judged:
        rewards.submit(verifier, Response(), sink)
        return
    try:
        task.questions(verifier.doc, Response())
        sink.values[verifier.metric] = 0.0
    # Whatever it is, it would come again in the middle of the training.
    except Exception as error:
        sink.crashes.append(f"{type(error).__name__}: {error}")
