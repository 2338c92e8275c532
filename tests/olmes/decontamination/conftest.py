"""Two small benchmarks, one of them held out, training data with items of both, and the command."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from olmes.cli import olmes as group

TASK = """
from olmes import DataFile, Formulation, Generation, Metric, Request, Response, Source, Task, Verdict


class Riddles(Task):
    name = "{name}"
    title = "Riddles called {name}"
    source = Source(
        files=(DataFile(path="{name}/test.jsonl", github="", sha256="", rows=0),),
        fields=("riddle", "solution"),
        question=("riddle",),
        answer=("solution",),
        content_hash="",
        gated={gated},
    )
    metrics = (Metric(name="exact_match", help="the solution"),)
    primary = "exact_match"
    scorers = ("score",)
    formulation = Formulation(question="{{riddle}}", generation=Generation(max_tokens=4), shots=0)

    def request(self, doc):
        return Request(
            messages=({{"role": "user", "content": doc["riddle"]}},),
            generation=self.formulation.generation,
        )

    def gold(self, doc):
        return doc["solution"]

    def score(self, doc, response):
        return Verdict(values={{"exact_match": float(response.text == doc["solution"])}})

    def perfect_response(self, doc, *, corrupt=False):
        return Response(text=doc["solution"] + ("x" if corrupt else ""))


TASK = Riddles()
"""
ITEMS = 50
SUBJECTS = ("lantern", "harbour", "sparrow", "thimble", "orchard", "cellar", "violin")


def riddle(name: str, number: int) -> str:
    """A text of 24 words; no two have eight in a row."""
    own = [f"{name}{number}x{place}" for place in range(16)]
    words = [word for place, word in enumerate(own) for word in (word, SUBJECTS[place % 7])]
    return " ".join(words[:24]) + "?"


def solution(name: str, number: int) -> str:
    """Of ten words."""
    return " ".join(f"{name}answer{number}x{place}" for place in range(10))


@dataclass(frozen=True)
class Bench:
    """A folder with tasks `open`, `sealed` (of the held-out suite exam.toml) and `gated`."""

    folder: Path

    @property
    def data(self) -> Path:
        """For --data."""
        return self.folder / "data"

    def file(self, name: str) -> str:
        """For --against."""
        return str(self.folder / f"{name}.py")

    @property
    def exam(self) -> str:
        """The held-out suite."""
        return str(self.folder / "exam.toml")

    def train(self, name: str, texts: Iterable[str]) -> Path:
        """Training data with a row a text."""
        path = self.folder / name
        rows = [
            {
                "id": f"id-{number}",
                "messages": [
                    {"role": "user", "content": text},
                    {"role": "assistant", "content": "so be it"},
                ],
            }
            for number, text in enumerate(texts)
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        return path


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The tasks with their data, in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("OLMES_DATA", raising=False)
    for name in ("open", "sealed", "gated"):
        source = TASK.format(name=name, gated=name == "gated")
        (tmp_path / f"{name}.py").write_text(source, "utf-8")
        (tmp_path / "data" / name).mkdir(parents=True)
        rows = [
            {"riddle": riddle(name, number), "solution": solution(name, number)}
            for number in range(ITEMS)
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / "data" / name / "test.jsonl").write_text(text, "utf-8")
    suite = f'name = "exam"\ntasks = ["{tmp_path / "sealed.py"}"]\nheld_out = true\n'
    (tmp_path / "exam.toml").write_text(suite, "utf-8")
    return Bench(tmp_path)


Command = Callable[..., Result]


@pytest.fixture
def decontaminate(bench: Bench) -> Command:
    """`decontaminate(ARGUMENTS..., status=0)` on the bench's data; refusals are raised."""

    def call(*arguments: object, status: int = 0) -> Result:
        given = [
            "decontaminate",
            *map(str, arguments),
            "--data",
            str(bench.data),
            "--processes",
            "1",
        ]
        result = CliRunner().invoke(group, given, standalone_mode=False)
        if result.exception:
            raise result.exception
        assert (result.return_value or 0) == status, result.output
        return result

    return call


def plain(number: int) -> str:
    """A text that no item has."""
    return f"write me a poem of some lines about the number {number} and all its friends, please"
