"""One row of training data, of whichever shape it came in, as the one shape a stage reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from olmes.errors import OlmesError
from olmes.trainers.data.published_rlvr import from_published
from olmes.trainers.recipes.stages import Stage
from olmes.types import Doc, Message

if TYPE_CHECKING:
    from datasets import Features

Row = Mapping[str, Any]
"""A row as a file or the hub has it."""


class SFTRow(TypedDict):
    """A chat whose assistant's turns are learned."""

    messages: list[Message]


class DPORow(TypedDict):
    """A preference between two answers, each a list of one turn."""

    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]


class VerifierJson(TypedDict):
    """Which scorer judges a response, and by what; one of the first four says which kind it is."""

    task: NotRequired[str]
    function: NotRequired[str]
    judge: NotRequired[str]
    code: NotRequired[Any]
    doc: Doc
    weight: NotRequired[float]
    metric: NotRequired[str]


class RLVRRow(TypedDict):
    """A prompt and who verifies the responses."""

    prompt: list[Message]
    verifiers: str
    """JSON text of a list of `VerifierJson`: their documents have different fields, which a column of
    a data set cannot hold."""


TrainingRow = SFTRow | DPORow | RLVRRow
VERIFIERS = ("task", "function", "judge", "code")
"""Kinds of verifiers; `trainers/rewards/kinds.py` says what scores each."""
ROLES = ("system", "user", "assistant")


def chat(value: Any, name: str) -> list[Message]:
    """A chat, each turn a role and a text; a bare text is one user turn.

    Raises:
        OlmesError: it is something else.
    """
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    turns: list[Message]
    try:
        turns = [Message(role=turn["role"], content=turn["content"]) for turn in value]
    except (TypeError, KeyError):
        turns = []
    good = all(t["role"] in ROLES and isinstance(t["content"], str) for t in turns)
    if not turns or not good:
        raise OlmesError(f"'{name}' must be a list of turns with a role and a content")
    return turns


def sft_row(row: Row, folder: Path | None = None) -> SFTRow:  # noqa: ARG001
    """The chat of a row; some turn is the assistant's.

    Raises:
        OlmesError: there are no messages, or nobody answers.
    """
    if "messages" not in row:
        raise OlmesError("a row for SFT has 'messages'")
    messages = chat(row["messages"], "messages")
    if not any(turn["role"] == "assistant" for turn in messages):
        raise OlmesError("no turn of 'messages' is the assistant's, so nothing could be learned")
    return {"messages": messages}


def dpo_row(row: Row, folder: Path | None = None) -> DPORow:  # noqa: ARG001
    """The preference of a row.

    Read as well: entire chats under `chosen` and `rejected` that differ in their last turn only.

    Raises:
        OlmesError: a part is missing, or the two chats have different beginnings.
    """
    if not {"chosen", "rejected"} <= row.keys():
        raise OlmesError("a preference has 'prompt', 'chosen' and 'rejected'")
    chosen, rejected = (answer(row[side], side) for side in ("chosen", "rejected"))
    if len(chosen) > 1:
        prompt = chosen[:-1]
        if rejected[:-1] != prompt:
            raise OlmesError("'chosen' and 'rejected' must be equal but for their last turn")
        chosen, rejected = chosen[-1:], rejected[-1:]
    elif "prompt" in row:
        prompt = chat(row["prompt"], "prompt")
    else:
        raise OlmesError("a preference has 'prompt', 'chosen' and 'rejected'")
    if any(turns[-1]["role"] != "assistant" for turns in (chosen, rejected)):
        raise OlmesError("the last turn of 'chosen' and 'rejected' must be the assistant's")
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected}


def answer(value: Any, name: str) -> list[Message]:
    """A chat that ends with an answer; a bare text is the answer alone.

    Raises:
        OlmesError: it is something else.
    """
    return (
        [{"role": "assistant", "content": value}] if isinstance(value, str) else chat(value, name)
    )


def rlvr_row(row: Row, folder: Path | None = None) -> RLVRRow:
    """The prompt of a row and its verifiers; docs/training.md says which keys a row has.

    Raises:
        OlmesError: a part is missing or has no such shape.
    """
    row = from_published(row)
    verifiers = row.get("verifiers")
    if not isinstance(verifiers, list) or not verifiers:
        raise OlmesError("a row for RLVR has 'verifiers', a list of { task, doc }")
    resolved = [verifier_of(verifier, folder) for verifier in verifiers]
    if "messages" in row or "prompt" in row:
        name = "messages" if "messages" in row else "prompt"
        prompt = chat(row[name], name)
    elif "task" not in resolved[0]:
        raise OlmesError("a row without 'messages' must begin its verifiers with a task")
    else:  # as the benchmark itself is asked
        from olmes.benchmark.registry import load_task

        request = load_task(resolved[0]["task"]).request(resolved[0]["doc"])
        prompt = [{"role": t["role"], "content": t["content"]} for t in request.messages]
    while prompt and prompt[-1]["role"] == "assistant":
        prompt = prompt[:-1]  # an answer in the data is not shown
    if not prompt:
        raise OlmesError("'messages' has no turn before the answer")
    return {"prompt": prompt, "verifiers": json.dumps(resolved)}


def verifier_of(verifier: Any, folder: Path | None) -> VerifierJson:
    """A verifier of a row, the file it may name found from where the data lies.

    Raises:
        OlmesError: it names no kind or several, or has other keys or values of other types.
    """
    if not isinstance(verifier, Mapping):
        raise OlmesError("each of 'verifiers' is an object with a 'task' and a 'doc'")
    kinds = [kind for kind in VERIFIERS if kind in verifier]
    if len(kinds) != 1 or (kinds == ["task"] and "doc" not in verifier):
        raise OlmesError("each of 'verifiers' has a 'task' (or 'function', or 'judge') and a 'doc'")
    if unknown := sorted(verifier.keys() - {*kinds, "doc", "weight", "metric"}):
        raise OlmesError(
            f"a verifier has no '{unknown[0]}'; it has {kinds[0]}, doc, weight, metric"
        )
    made = VerifierJson(**{"doc": {}, **verifier})  # type: ignore[typeddict-item]
    if not isinstance(made["doc"], Mapping):
        raise OlmesError("the 'doc' of a verifier is an object, an item of the benchmark")
    weight = made.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise OlmesError("the 'weight' of a verifier is a number")
    if "task" in made:
        made["task"] = task_path(str(made["task"]), folder)
    if "function" in made:
        file, colon, member = str(made["function"]).rpartition(":")
        made["function"] = f"{task_path(file, folder)}{colon}{member}"
    return made


def kind_of(verifier: VerifierJson) -> str:
    """Which of `VERIFIERS` a verifier is."""
    return next(kind for kind in VERIFIERS if kind in verifier)


def rewarded_constraints(row: Row) -> set[str]:
    """The kinds of instructions (IFEval's ids) that the verifiers of an RLVR row give a reward for."""
    return {
        id_
        for verifier in json.loads(row["verifiers"])
        for id_ in verifier["doc"].get("instruction_id_list", ())
    }


def task_path(task: str, folder: Path | None) -> str:
    """A task's name, or its file's path from where the data lies."""
    if task.endswith(".py") and folder is not None and not Path(task).is_absolute():
        return str((folder / task).resolve())
    return task


def features(stage: Stage) -> Features:
    """The columns of a stage's rows on disk; texts may come to more than 2 GiB."""
    from datasets import Features, List, Value

    turns = List({"role": Value("string"), "content": Value("large_string")})
    match stage:
        case "sft":
            return Features(messages=turns)
        case "rlvr":
            return Features(prompt=turns, verifiers=Value("large_string"))
        case _:
            return Features(prompt=turns, chosen=turns, rejected=turns)


READERS: Mapping[Stage, Callable[[Row, Path | None], TrainingRow]] = {
    "sft": sft_row,
    "dpo": dpo_row,
    "reward": dpo_row,
    "rlvr": rlvr_row,
}
