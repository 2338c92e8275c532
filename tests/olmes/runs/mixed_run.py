"""A run with everything in it, small: repeats, likelihoods, a judge, failures, a seal.

`test_streamed_record.py` holds its record against the files of `files/mixed_run`, which were written
when a run still kept all of its rows in memory.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from olmes import Record, Request, Response, evaluate
from olmes.judging.judge import Judge
from olmes.models.base import Done, EncodedPrompt, Model

FILES = Path(__file__).parent.parent / "files"
REPEATS = 3
SAID = {
    "raise": "raise",
    "memory": "memory",
    "empty": " \n",
    "sorry": "I'm sorry, but I cannot say that.",
    "lone": "lone \ud800 surrogate, ünïcödé \u2028 and </script>",
    "long": "x" * 500,
}
"""Words that are answered with something else than the word."""


class RuleModel(Model):
    """Answers by rule, in an order of its own."""

    name = "rule"
    fingerprint = "cd" * 32
    engine: dict[str, Any] = {"backend": "rule"}  # noqa: RUF012

    def encode(self, request: Request) -> EncodedPrompt:
        text = request.messages[-1]["content"] if request.messages else str(request.prompt)
        return EncodedPrompt(text=text, token_ids=())

    def generate(self, requests: Sequence[Request], done: Done) -> None:
        order = list(range(len(requests)))
        random.Random(7).shuffle(order)
        for at in order:
            done(at, self.answer(requests[at]))

    def answer(self, request: Request) -> Response:
        word = self.encode(request).text.removeprefix("Say ").removesuffix(".")
        if word.startswith("lost") and request.repeat == 1:
            return Response(finish="error", error="the request failed")
        if word.startswith(("good", "bad", "odd")):
            return Response(text=word.rstrip("0123456789"), prompt_tokens=5, completion_tokens=1)
        told = SAID.get(word.rstrip("0123456789"), word if request.repeat < 2 else word[:-1])
        return Response(
            text=told,
            prompt_tokens=len(word),
            completion_tokens=len(told) % 50,
            finish="length" if len(told) > 400 else "stop",
            prompt_truncated=3 if word == "plain7" else 0,
        )

    def loglikelihood(self, requests: Sequence[Request], done: Done) -> None:
        for at in reversed(range(len(requests))):
            draw = random.Random(str(requests[at].prompt))
            weights = tuple(-draw.random() * 10 / 3 for _ in requests[at].continuations)
            if "tie" in str(requests[at].prompt):
                weights = (weights[0],) * len(weights)
            done(at, Response(logprobs=weights, prompt_tokens=7))


class RuleJudge(RuleModel):
    """Prefers good responses, and does not answer about odd ones with an odd number."""

    fingerprint = "ab" * 32

    def answer(self, request: Request) -> Response:
        first, second = request.messages[0]["content"].split("\n")
        if first == "A: odd" and second.endswith("5"):
            return Response(finish="error", error="the server is gone")
        says = {"A: good": "A", "A: bad": "B"}.get(first, "Both have merits.")
        return Response(text=says, prompt_tokens=len(second), completion_tokens=1)


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def write_data(folder: Path) -> Path:
    """The three benchmarks' items."""
    words = [f"{word}{at}" for at, word in enumerate([*SAID, "plain", "lost", "plain"] * 3)]
    write_rows(folder / "echo/test.jsonl", [{"word": word} for word in words])
    judged = [f"{word}{at}" for at, word in enumerate(("good", "bad", "odd") * 3)]
    write_rows(folder / "taste/test.jsonl", [{"word": word, "encoder": ""} for word in judged])
    picks = [
        {
            "word": f"{'tie' if at == 4 else 'pick'} {at}",
            "options": [f" option {at} {number} of ünïts" for number in range(2 + at % 3)],
            "right": at % 2,
            "kind": ("algebra", "words", "sets")[at % 3],
            "passage": f"passage {at // 4}" if at % 2 else "",
        }
        for at in range(23)
    ]
    write_rows(folder / "pick/test.jsonl", picks)
    return folder


def mixed_run(folder: Path, *, held_out: bool = False, **options: Any) -> Record:
    """Run the three tasks as one suite below `folder`; the data is written there too."""
    tasks = [str(FILES / f"{name}_task.py") for name in ("echo", "pick", "judged")]
    suite = folder / "mixed.toml"
    folder.mkdir(parents=True, exist_ok=True)
    suite.write_text(
        f'name = "mixed"\ntasks = {json.dumps(tasks)}\nheld_out = {str(held_out).lower()}\n',
        "utf-8",
    )
    return evaluate(
        str(suite),
        model=options.pop("model", None) or RuleModel(),
        data=write_data(folder / "data"),
        out=folder / "runs",
        settings={"echo.n": REPEATS},
        judge=Judge(model=RuleJudge()),
        look="final" if held_out else None,
        scoring_processes=2,
        **options,
    )


def left(record: Record) -> dict[str, str]:
    """What a run leaves, by name: its samples, opened where they are sealed, and its numbers."""
    found = {}
    for name in record.tasks:
        raw = record.samples_path(name).read_bytes() if not record.sealed(name) else b""
        if record.sealed(name):
            place = record.folder / record.run.sealed[name].file
            raw = gzip.decompress(place.read_bytes())
            assert place.read_bytes() == gzip.compress(raw, mtime=0)
        # A scorer that broke is told of with its place, which is another in every checkout.
        found[f"{name}.jsonl"] = raw.decode("utf-8").replace(str(FILES), "FILES")
    data = record.to_json()
    numbers = {
        name: {key: value for key, value in task.items() if key not in ("data", "scorer_hash")}
        for name, task in data["tasks"].items()
    }
    suite = {**data["suite"], "held_out": None}
    kept = {"tasks": numbers, "suite": suite, "complete": record.complete}
    kept["warnings"] = [line for line in record.run.warnings if "content hash" not in line]
    found["numbers.json"] = json.dumps(kept, indent=1, sort_keys=True) + "\n"
    return found
