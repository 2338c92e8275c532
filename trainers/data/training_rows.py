"""One row of training data, of whichever shape it came in, as the one shape a stage reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from olmes.errors import OlmesError
from olmes.rows.chats import Turn, WholeTurn, chat, columns, tools_of
from olmes.rows.preferences import PreferenceRow, Row, answer, asked, preference_row, with_system
from olmes.trainers.data.held_out_rows import refuse_held_out_items, refuse_held_out_task
from olmes.trainers.data.published_rlvr import from_published
from olmes.trainers.recipes.stages import Stage
from olmes.types import Doc

if TYPE_CHECKING:
    from datasets import Features


class SFTRow(TypedDict):
    """A chat whose assistant's turns are learned."""

    messages: list[Turn]
    more: str
    """What else a template reads of it (`chats.columns`)."""


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

    prompt: list[Turn]
    verifiers: str
    """JSON text of a list of `VerifierJson`: their documents have different fields, which a column of
    a data set cannot hold."""


TrainingRow = SFTRow | PreferenceRow | RLVRRow
VERIFIERS = ("task", "function", "judge", "code")
"""Kinds of verifiers; `trainers/rewards/kinds.py` says what scores each."""
PAIRS = (
    ("prompt", "completion"),
    ("prompt", "response"),
    ("instruction", "output"),
    ("instruction", "response"),
    ("question", "answer"),
    ("query", "response"),
)
"""Keys of what is asked and what is answered, in data sets without chats."""


def sft_row(row: Row, folder: Path | None = None) -> SFTRow:  # noqa: ARG001
    """The chat of a row; some turn is the assistant's.

    Read are `messages`, ShareGPT's `conversations`, and what is asked and answered apart (`PAIRS`),
    each with `tools` and `system` where there are some.

    Raises:
        OlmesError: there are no messages, or nobody answers.
    """
    name = next((key for key in ("messages", "conversations") if row.get(key) is not None), None)
    if name is not None:
        turns = chat(row[name], name)
    elif pair := next((p for p in PAIRS if row.get(p[0]) and row.get(p[1]) is not None), None):
        turns = [*earlier(row), *asked(row, pair[0]), *answer(row[pair[1]], pair[1])]
    else:
        raise OlmesError(
            "a row for SFT has 'messages' (or 'conversations', 'prompt' and 'completion', "
            "'instruction' and 'output')"
        )
    turns = with_system(turns, row)
    if not any(turn["role"] == "assistant" for turn in turns):
        raise OlmesError(
            f"no turn of '{name or 'prompt'}' is the assistant's, so nothing could be learned"
        )
    held, more = columns({"messages": turns}, tools_of(row.get("tools")))
    return {"messages": held["messages"], "more": more}


def earlier(row: Row) -> list[WholeTurn]:
    """What was asked and answered before: Alpaca's `history`, a list of pairs.

    Raises:
        OlmesError: it is something else.
    """
    found: list[WholeTurn] = []
    for pair in row.get("history") or ():
        if not isinstance(pair, Sequence) or len(pair) != 2:
            raise OlmesError("'history' must be a list of pairs: what was asked, what was answered")
        found += [*chat(pair[0], "history"), *answer(pair[1], "history")]
    return found


def rlvr_row(row: Row, folder: Path | None = None) -> RLVRRow:
    """The prompt of a row and its verifiers; docs/training.md says which keys a row has.

    Raises:
        OlmesError: a part is missing or has no such shape, or a task or an item is held out.
    """
    row = from_published(row)
    verifiers = row.get("verifiers")
    if not isinstance(verifiers, list) or not verifiers:
        raise OlmesError("a row for RLVR has 'verifiers', a list of { task, doc }")
    resolved = [verifier_of(verifier, folder) for verifier in verifiers]
    for verifier in resolved:
        if "task" in verifier:
            refuse_held_out_task(verifier["task"])
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
    refuse_held_out_items(resolved, (turn["content"] for turn in prompt))
    held, more = columns({"prompt": prompt}, tools_of(row.get("tools")))
    if more:
        raise OlmesError(
            "a prompt of RLVR is turns of text; 'tools', calls and thoughts are not given to the "
            "model here: leave the row out"
        )
    return {"prompt": held["prompt"], "verifiers": json.dumps(resolved)}


def verifier_of(verifier: Any, folder: Path | None) -> VerifierJson:
    """A verifier of a row, the file it may name found from where the data lies.

    Raises:
        OlmesError: it names no kind or several, or has other keys or values of other types.
    """
    if not isinstance(verifier, Mapping):
        raise OlmesError("each of 'verifiers' is an object with a 'task' and a 'doc'")
    kinds = [kind for kind in VERIFIERS if kind in verifier]
    if len(kinds) != 1 or (kinds == ["task"] and "doc" not in verifier):
        raise OlmesError(
            "each of 'verifiers' has a 'task' (or 'function', 'judge', 'code') and a 'doc'"
        )
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
            return Features(messages=turns, more=Value("large_string"))
        case "rlvr":
            return Features(prompt=turns, verifiers=Value("large_string"))
        case _:
            return Features(prompt=turns, chosen=turns, rejected=turns, more=Value("large_string"))


def dpo_row(row: Row, folder: Path | None = None) -> PreferenceRow:  # noqa: ARG001
    """The preference of a row.

    Raises:
        OlmesError: as `preference_row`.
    """
    return preference_row(row)


READERS: Mapping[Stage, Callable[[Row, Path | None], TrainingRow]] = {
    "sft": sft_row,
    "dpo": dpo_row,
    "reward": dpo_row,
    "rlvr": rlvr_row,
}
