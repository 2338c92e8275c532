"""Real runs at the edges of what a number can be: every page must say the same of each.

The response *is* the value: a task of shares, one of lengths of which less is better, one whose scorer
gives NaN on `nan`, one that leaves its metric out on `none`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmes import Record, evaluate

TASK = '''\
"""Right is what the response says."""

from olmes import (
    DataFile, Doc, Formulation, Generation, Metric, Request, Response, Source, Task, Verdict
)


class Says(Task):
    name = "{name}"
    title = "{title}"
    source = Source(
        files=(DataFile(path="{name}/test.jsonl", github="", sha256="", rows=0),),
        fields=("number",),
        content_hash="",
    )
    metrics = (
        Metric(name="said", help="as it says", higher_is_better={higher}, unit="{unit}"),
    )
    primary = "said"
    formulation = Formulation(question="Say {{number}}.", generation=Generation(max_tokens=4))

    def request(self, doc: Doc) -> Request:
        content = self.formulation.question.format(**doc)
        return Request(
            messages=({{"role": "user", "content": content}},),
            generation=self.formulation.generation,
        )

    def gold(self, doc: Doc) -> int:
        return int(doc["number"])

    def score(self, doc: Doc, response: Response) -> Verdict:
        return Verdict(values={{}} if response.text == "none" else {{"said": float(response.text)}})

    def wrong_values(self, doc: Doc) -> dict[str, float]:
        return {{"said": 0.0}}

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        return Response(text="0" if corrupt else "1")


TASK = Says()
'''


@dataclass(frozen=True)
class Bench:
    """Tasks and data in a folder, and runs on them."""

    folder: Path

    def task(self, name: str, items: int, *, higher: bool = True, unit: str = "share") -> str:
        """The path of a task file; its data are made."""
        data = self.folder / f"data/{name}/test.jsonl"
        data.parent.mkdir(parents=True, exist_ok=True)
        data.write_text("".join(json.dumps({"number": i}) + "\n" for i in range(items)), "utf-8")
        path = self.folder / f"{name}_task.py"
        path.write_text(
            TASK.format(name=name, title=name.capitalize(), higher=higher, unit=unit), "utf-8"
        )
        return str(path)

    def suite(self, name: str, tasks: Sequence[str], **fields: Any) -> str:
        """The path of a suite of task files."""
        path = self.folder / f"{name}.toml"
        given = {"name": name, "tasks": list(tasks)} | fields
        path.write_text(
            "".join(f"{key} = {json.dumps(value)}\n" for key, value in given.items()), "utf-8"
        )
        return str(path)

    def run(
        self,
        label: str,
        target: str | list[str],
        values: dict[str, Sequence[float | str]],
        **options: Any,
    ) -> Record:
        """A run whose responses are the values, item by item; `label` is the model's name."""
        recording = self.folder / f"{label}-said.jsonl"
        rows = [
            {"response": str(value), "task": task, "doc_id": at, "tokens": 1}
            for task, own in values.items()
            for at, value in enumerate(own)
        ]
        recording.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        return evaluate(
            target,
            model=f"replay:{recording}",
            data=self.folder / "data",
            out=self.folder / "runs",
            scoring_processes=1,
            **options,
        )


def zeros_and_ones(n: int, right: int) -> list[float]:
    """`right` ones among n, spread evenly."""
    return [float((at + 1) * right // n > at * right // n) for at in range(n)]


def edge_runs(folder: Path) -> dict[str, Record]:
    """One run of every kind, by what is odd about it."""
    bench = Bench(folder)
    acc = bench.task("acc", 30)
    loss = bench.task("loss", 30, higher=False, unit="number")
    single = bench.task("single", 1)
    large = bench.task("large", 300)
    unequal = bench.suite("unequal", [large, acc])
    half, most = zeros_and_ones(30, 15), zeros_and_ones(30, 27)
    return {
        "normal": bench.run("normal", acc, {"acc": half}),
        "all right": bench.run("all-right", acc, {"acc": [1.0] * 30}),
        "none right": bench.run("none-right", acc, {"acc": [0.0] * 30}),
        "nan": bench.run("nan", acc, {"acc": [*["nan"] * 10, *[1.0] * 20]}),
        "missing metric": bench.run("missing", acc, {"acc": [*["none"] * 10, *[1.0] * 20]}),
        "limited": bench.run("limited", acc, {"acc": most}, limit=10),
        "limited too": bench.run("limited-too", acc, {"acc": half}, limit=10),
        "not standard": bench.run("changed", acc, {"acc": most}, settings={"acc.max_tokens": 3}),
        "one item": bench.run("one-item", single, {"single": [1.0]}),
        "less is better": bench.run("loss", loss, {"loss": [1.0 + at / 7 for at in range(30)]}),
        "less still": bench.run("less-loss", loss, {"loss": [0.25 + at / 9 for at in range(30)]}),
        "mixed": bench.run("mixed", [acc, loss], {"acc": most, "loss": [202.75] * 29 + [3.5]}),
        "unequal": bench.run(
            "unequal", unequal, {"large": zeros_and_ones(300, 270), "acc": [0.0] * 30}
        ),
        "unequal too": bench.run(
            "unequal-too", unequal, {"large": zeros_and_ones(300, 240), "acc": most}
        ),
    }
