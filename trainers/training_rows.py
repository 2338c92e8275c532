"""One row of training data, of whichever shape it came in, as the one shape a stage reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.trainers.published_rlvr import from_published
from olmes.trainers.recipe import Stage

Row = Mapping[str, Any]
ROLES = ("system", "user", "assistant")


def chat(value: Any, name: str) -> list[dict[str, str]]:
    """A chat, each turn a role and a text; a bare text is one user turn.

    Raises:
        OlmesError: it is something else.
    """
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    try:
        turns = [{"role": turn["role"], "content": turn["content"]} for turn in value]
    except (TypeError, KeyError):
        turns = []
    good = all(t["role"] in ROLES and isinstance(t["content"], str) for t in turns)
    if not turns or not good:
        raise OlmesError(f"'{name}' must be a list of turns with a role and a content")
    return turns


def sft_row(row: Row, folder: Path | None = None) -> dict[str, Any]:  # noqa: ARG001
    """`{"messages": chat}`; the last turn is the assistant's.

    Raises:
        OlmesError: there are no messages, or nobody answers.
    """
    if "messages" not in row:
        raise OlmesError("a row for SFT has 'messages'")
    messages = chat(row["messages"], "messages")
    if not any(turn["role"] == "assistant" for turn in messages):
        raise OlmesError("no turn of 'messages' is the assistant's, so nothing could be learned")
    return {"messages": messages}


def dpo_row(row: Row, folder: Path | None = None) -> dict[str, Any]:  # noqa: ARG001
    """`{"prompt": chat, "chosen": [turn], "rejected": [turn]}`.

    Read as well: whole chats under `chosen` and `rejected` that differ in their last turn only.

    Raises:
        OlmesError: a part is missing, or the two chats have different beginnings.
    """
    if not {"chosen", "rejected"} <= row.keys():
        raise OlmesError("a row for DPO has 'prompt', 'chosen' and 'rejected'")
    answers = {}
    for side in ("chosen", "rejected"):
        given = row[side]
        answers[side] = (
            [{"role": "assistant", "content": given}]
            if isinstance(given, str)
            else chat(given, side)
        )
    if len(answers["chosen"]) > 1:
        prompt = answers["chosen"][:-1]
        if answers["rejected"][:-1] != prompt:
            raise OlmesError("'chosen' and 'rejected' must be equal but for their last turn")
        answers = {side: turns[-1:] for side, turns in answers.items()}
    elif "prompt" in row:
        prompt = chat(row["prompt"], "prompt")
    else:
        raise OlmesError("a row for DPO has 'prompt', 'chosen' and 'rejected'")
    if any(turns[-1]["role"] != "assistant" for turns in answers.values()):
        raise OlmesError("the last turn of 'chosen' and 'rejected' must be the assistant's")
    return {"prompt": prompt, **answers}


def rlvr_row(row: Row, folder: Path | None = None) -> dict[str, Any]:
    """`{"prompt": chat, "verifiers": JSON text}`; which keys a row has says docs/training.md.

    The verifiers stay one text, because their documents have different fields, which a column of a
    data set cannot hold.

    Raises:
        OlmesError: a part is missing or has no such shape.
    """
    row = from_published(row)
    verifiers = row.get("verifiers")
    if not isinstance(verifiers, list) or not verifiers:
        raise OlmesError("a row for RLVR has 'verifiers', a list of { task, doc }")
    for verifier in verifiers:
        if not isinstance(verifier, Mapping) or not {"task", "doc"} <= verifier.keys():
            raise OlmesError("each of 'verifiers' has a 'task' and a 'doc'")
        if not isinstance(verifier["doc"], Mapping):
            raise OlmesError("the 'doc' of a verifier is an object, an item of the benchmark")
        if unknown := sorted(verifier.keys() - {"task", "doc", "weight", "metric"}):
            raise OlmesError(f"a verifier has no '{unknown[0]}'; it has task, doc, weight, metric")
    placed = [{**verifier, "task": place(str(verifier["task"]), folder)} for verifier in verifiers]
    if "messages" in row:
        prompt = chat(row["messages"], "messages")
    else:  # as the benchmark itself asks
        from olmes.benchmark.registry import load_task

        asked = load_task(placed[0]["task"]).request(placed[0]["doc"])
        prompt = [{"role": t["role"], "content": t["content"]} for t in asked.messages]
    while prompt and prompt[-1]["role"] == "assistant":
        prompt = prompt[:-1]  # an answer in the data is not shown
    if not prompt:
        raise OlmesError("'messages' has no turn before the answer")
    return {"prompt": prompt, "verifiers": json.dumps(placed)}


def rewarded_constraints(row: Row) -> set[str]:
    """The kinds of instructions (IFEval's ids) that the verifiers of an RLVR row give a reward for."""
    return {
        id_
        for verifier in json.loads(row["verifiers"])
        for id_ in verifier["doc"].get("instruction_id_list", ())
    }


def place(task: str, folder: Path | None) -> str:
    """A task's name, or its file's path from where the data lies."""
    if task.endswith(".py") and folder is not None and not Path(task).is_absolute():
        return str((folder / task).resolve())
    return task


READERS: Mapping[Stage, Callable[..., dict[str, Any]]] = {
    "sft": sft_row,
    "dpo": dpo_row,
    "rlvr": rlvr_row,
}
