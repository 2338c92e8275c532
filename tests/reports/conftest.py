"""Runs written as records, for the pages to read, and a browser to open the pages in.

The records are made here and not by a run: the pages must show what no run would bring together,
such as hostile texts, a failed request and demo data on one page.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from olmes.records.schema import FLAGS
from olmes.seal.ledger import Ledger
from olmes.seal.look import TakenLook
from olmes.seal.sealing import sealed_files, sealed_samples
from olmes.tools.as_json import as_json
from olmes.tools.jsonl import line_of

HOSTILE = (
    "</script><script>window.pwned = 1</script>",
    '<img src=x onerror="window.pwned = 2">',
    "<!--<script>",
    "]]></pre></body></html>",
    '"><svg onload="window.pwned = 3">',
    "{{ 7 * 7 }}${7*7}<%= 7*7 %>",
    "javascript:window.pwned=4",
)
UNSEEN = (
    "bell\x07 null\x00 return\r\n tab\there c1\x85 "
    "right-to-left\u202eabc zero\u200bwidth lone\ud800!"
)
VOCABULARY = (
    "robe bolt fibre blue white half train leaves station city hours miles apart farmer market eggs "
    "sells dollar each week month total remaining price discount percent boxes pencils students "
    "teacher class rows columns garden fence square area metres water tank fills empties pipe hour "
    "minute speed distance travels north south bakery cakes orders flour sugar cups recipe doubles"
)
WORDS = VOCABULARY.split()
EXEMPLARS = [
    {"role": role, "content": f"{text} {number}"}
    for number in range(1, 5)
    for role, text in (("user", "Question: exemplar question"), ("assistant", "Answer: exemplar"))
]
HELP = {
    "exact_match": "the number after the last 'the answer is' equals the gold number",
    "exact_match_numeric": "the same, with units and thousands separators read",
    "inst_level_strict": "share of instructions followed",
    "prompt_level_loose": "every instruction of the prompt followed, loosely read",
    "f1": "overlap of answer and gold, token by token",
}


def interval(value: float, n: int) -> dict[str, Any]:
    """Wilson's 95 % interval and the binomial standard error, as a run writes them."""
    z2 = 1.96**2
    centre = (value + z2 / (2 * n)) / (1 + z2 / n)
    half = 1.96 / (1 + z2 / n) * math.sqrt(value * (1 - value) / n + z2 / (4 * n * n))
    return {
        "value": value,
        "stderr": math.sqrt(value * (1 - value) / n),
        "ci_low": max(0.0, centre - half),
        "ci_high": min(1.0, centre + half),
        "n": n,
    }


class RecordBuilder:
    """Writes a run folder from a seed."""

    def __init__(self, folder: Path, seed: int = 1) -> None:
        self.folder = folder
        self.random = random.Random(seed)

    def words(self, low: int, high: int) -> str:
        return " ".join(self.random.choices(WORDS, k=self.random.randint(low, high)))

    def row(self, doc_id: int, question: str, text: str, **fields: Any) -> dict[str, Any]:
        """A sample with every field, the given ones replaced."""
        response = {
            "text": text,
            "finish": "stop",
            "prompt_tokens": 900,
            "completion_tokens": 120,
            "prompt_truncated": 0,
            "logprobs": [],
            "error": "",
        }
        return {
            "doc_id": doc_id,
            "subtask": "",
            "doc_hash": f"{doc_id:016x}",
            "repeat": 0,
            "prompt_hash": f"{doc_id + 7:016x}",
            "messages": [{"role": "user", "content": question}],
            "prompt": None,
            "prefill": "",
            "continuations": [],
            "gold": "18",
            "response": response,
            "values": {},
            "extracted": None,
            "flags": [],
            "note": "",
            "parts": [],
        } | fields

    def gsm8k(self, n: int) -> list[dict[str, Any]]:
        """Few-shot chat with a prefill, an honest metric beside the primary one."""
        rows = []
        for doc_id in range(n):
            gold, right = str(self.random.randint(2, 999)), self.random.random() < 0.4
            said = gold if right else str(self.random.randint(1000, 2000))
            question = f"Question: {self.words(25, 50).capitalize()}, how many are left?"
            text = f" {self.words(40, 90)}.\nSo the answer is {said}."
            row = self.row(doc_id, question, text, prefill="Answer:", gold=gold, extracted=said)
            disputed = doc_id % 11 == 5
            row["values"] = {
                "exact_match": float(right),
                "exact_match_numeric": float(right or disputed),
            }
            if doc_id % 13 == 3:
                row["flags"] = ["truncated", "unparsed"]
                row["response"]["finish"] = "length"
                row["extracted"], row["values"] = None, dict.fromkeys(row["values"], 0.0)
            rows.append(row)
        return rows

    def bbh(self, n: int) -> list[dict[str, Any]]:
        """Sub-tasks with exemplars of their own, so that no turn is shared by the whole task."""
        rows = []
        for doc_id in range(n):
            subtask = ("navigate", "snarks", "word_sorting")[doc_id % 3]
            right = self.random.random() < 0.6
            turns = [{**turn, "content": f"{subtask}: {turn['content']}"} for turn in EXEMPLARS]
            question = f"Follow the instructions of {subtask}.\n\n{self.words(20, 60)}?"
            row = self.row(
                doc_id // 3,
                question,
                f"Let us think. {self.words(30, 80)}. So the answer is {'Yes' if right else 'No'}.",
                subtask=subtask,
                gold="Yes",
                extracted="Yes" if right else "No",
                values={"exact_match": float(right)},
            )
            row["messages"] = [*turns, *row["messages"]]
            rows.append(row)
        return sorted(rows, key=lambda row: row["subtask"])

    def ifeval(self, n: int) -> list[dict[str, Any]]:
        """Several instructions a prompt: a metric over parts."""
        rows = []
        for doc_id in range(n):
            flags = [self.random.random() < 0.7 for _ in range(1 + doc_id % 3)]
            names = (
                "punctuation:no_comma",
                "length_constraints:number_words",
                "keywords:existence",
            )
            parts = [
                {"id": name, "strict": flag, "loose": True, "note": "" if flag else "2 commas"}
                for name, flag in zip(names, flags, strict=False)
            ]
            values = {"prompt_level_loose": float(all(flags)), "inst_level_strict": flags}
            row = self.row(doc_id, self.words(10, 30), self.words(60, 120), values=values)
            rows.append(row | {"parts": parts, "gold": list(names[: len(flags)])})
        return rows

    def task(self, name: str, title: str, primary: str, rows: list[Any]) -> dict[str, Any]:
        """A task's part of run.json; its rows go to the samples file."""
        path = self.folder / "samples" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        metrics = list(dict.fromkeys(metric for row in rows for metric in row["values"]))
        described = {
            metric: {
                **self.estimate(rows, metric),
                "help": HELP[metric],
                "honest": metric == "exact_match_numeric",
                "higher_is_better": True,
                "unit": "share",
            }
            for metric in metrics
        }
        groups = {row["subtask"] for row in rows} - {""}
        subtasks = {
            group: {
                "n": sum(row["subtask"] == group for row in rows),
                "metrics": {
                    metric: self.estimate([r for r in rows if r["subtask"] == group], metric)
                    for metric in metrics
                },
            }
            for group in sorted(groups)
        }
        return {
            "title": title,
            "primary": primary,
            "standard": True,
            "settings": {},
            "formulation": {
                "generation": {"max_tokens": 512, "temperature": 0.0, "stop": ["Question:"]},
                "shots": 8,
                "question": "Question: {question}\n",
                "aggregate": "micro",
            },
            "formulation_hash": "0123456789abcdef",
            "scorer_hash": "fedcba9876543210",
            "data": {
                "origin": "folder",
                "location": "/data/" + name,
                "content_hash": "ab" * 32,
                "official": True,
                "notes": [],
                "n": len(rows),
            },
            "n": len(rows),
            "items": sum(row["repeat"] == 0 for row in rows),
            "metrics": described,
            "subtasks": subtasks,
            "counts": {kind: sum(kind in row["flags"] for row in rows) for kind in FLAGS},
            "tokens": {"prompt": 900 * len(rows), "completion": 120 * len(rows)},
            "shared_messages": EXEMPLARS if name == "gsm8k" else [],
            "samples": f"samples/{name}.jsonl",
        }

    def estimate(self, rows: list[Any], metric: str) -> dict[str, Any]:
        """Mean and interval of a metric over rows; one item for each flag of a list."""
        flat = [value for row in rows for value in [row["values"].get(metric)] if value is not None]
        flat = [part for value in flat for part in (value if isinstance(value, list) else [value])]
        return interval(sum(flat) / len(flat), len(flat))

    def write(self, tasks: dict[str, Any], **fields: Any) -> Path:
        """Write run.json; `fields` replace its own."""
        value = sum(task["metrics"][task["primary"]]["value"] for task in tasks.values())
        run = {
            "schema": 2,
            "id": "smollm2-dev-1a2b3c4d",
            "created": "2026-11-22T10:00:00Z",
            "complete": True,
            "olmes": {"version": "0.1.0", "git_commit": "c0ffee" * 6, "git_dirty": False},
            "model": {
                "name": "smollm2",
                "fingerprint": "5f" * 32,
                "engine": {"backend": "hf", "transformers": "5.23.0", "dtype": "float32"},
            },
            "suite": {
                "name": "dev",
                "title": "Development suite",
                "held_out": False,
                "complete": True,
                "unit": "share",
                **interval(value / len(tasks), sum(task["n"] for task in tasks.values())),
            },
            "limit": None,
            "tasks": tasks,
            "warnings": [],
            "environment": {
                "python": "3.11.7",
                "platform": "Linux",
                "packages": {"torch": "2.13.0"},
                "hardware": {"cpu": "a processor", "cores": 2, "gpu": None},
            },
            "timing": {"answer_s": 734.2, "score_s": 3.4},
            "cost": {
                "sessions": 1,
                "requests": 150,
                "reused": 0,
                "prefill_tokens": 20_000,
                "shared_tokens": 90_000,
                "decode_tokens": 30_000,
                "wall_s": 740.0,
                "model_s": 700.0,
                "load_s": 12.5,
                "scoring_cpu_s": 3.1,
                "gpu_s": 0.0,
                "peak_rss_bytes": 2_100_000_000,
                "peak_gpu_bytes": None,
                "idle_s": 27.5,
                "tokens_per_s": 71.4,
            },
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "run.json").write_text(json.dumps(run | fields), encoding="utf-8")
        return self.folder


@pytest.fixture(scope="session")
def clean_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run on official data: nothing to warn of."""
    return write_clean_run(tmp_path_factory.mktemp("clean"), 60)


def write_clean_run(folder: Path, n: int, seed: int = 1, **fields: Any) -> Path:
    """A run of three tasks with `n` samples each."""
    build = RecordBuilder(folder, seed)
    tasks = {
        "gsm8k": build.task("gsm8k", "GSM8K", "exact_match", build.gsm8k(n)),
        "bbh": build.task("bbh", "BIG-Bench Hard", "exact_match", build.bbh(n)),
        "ifeval": build.task("ifeval", "IFEval", "prompt_level_loose", build.ifeval(n)),
    }
    return build.write(tasks, **fields)


@pytest.fixture(scope="session")
def hostile_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything wrong at once, and markup wherever a text can stand."""
    build = RecordBuilder(tmp_path_factory.mktemp("hostile"))
    rows = build.gsm8k(20)
    for row, text in zip(rows, HOSTILE, strict=False):
        row["messages"][0]["content"] = f"{text} question"
        row["response"]["text"] = f"before {text} after"
        row["extracted"] = text
        row["gold"] = [text, 2**60, float("nan")]
        row["note"] = text
    rows[8]["response"]["text"] = UNSEEN
    rows[8]["messages"][0]["content"] = "emoji 👩‍👩‍👧, العربية, עברית, 日本語, İstanbul, naïve"
    rows[9] |= {"flags": ["failed"], "values": {}, "extracted": None, "note": "connection reset"}
    rows[9]["response"] |= {"text": "", "finish": "error", "error": "connection reset"}
    rows[10] |= {"response": None, "values": {}, "extracted": None}
    rows[11]["response"]["text"] = " and 180 is not 18, but 18 is 18 and 181 is not"
    rows[11]["extracted"] = "18"
    rows[12] |= {"continuations": [" yes", " no"], "prompt": "Is it?", "messages": []}
    rows[12]["response"] |= {"text": "", "logprobs": [-1.5, float("-inf")]}
    rows[13] |= {"doc_id": 12, "repeat": 3}
    gsm8k = build.task("gsm8k", f"GSM8K {HOSTILE[1]}", "exact_match", rows)
    gsm8k |= {"standard": False, "settings": {"shots": "2"}}
    gsm8k["data"] |= {"origin": "demo", "official": False, "notes": [HOSTILE[0]]}
    bbh_rows = build.bbh(30)
    for row in bbh_rows[::2]:
        row["subtask"] = HOSTILE[4]
    bbh = build.task("bbh", "BBH", "exact_match", bbh_rows)
    bbh["data"] |= {"official": False, "notes": ["2 rows differ."]}
    return build.write(
        {"gsm8k": gsm8k, "bbh": bbh},
        id=HOSTILE[0],
        complete=False,
        limit=30,
        warnings=[HOSTILE[0], "lone \ud800 surrogate"],
        model={"name": HOSTILE[1], "fingerprint": "5f" * 32, "engine": {"backend": HOSTILE[4]}},
    )


DEV = {"run": "tulu-8b-dev-1a2b3c4d", "suite": "dev", **interval(0.452, 900), "complete": True}
"""A development score as a look keeps it."""


def diagnosed(task: dict[str, Any], lost: int | None, **reasons: int) -> dict[str, Any]:
    """A task with a diagnosis."""
    wrong = round((1 - task["metrics"][task["primary"]]["value"]) * task["n"])
    flags = {"truncated": 3, "refusal": 1, "empty": 0, "unparsed": 2}
    counts = {"n": task["n"], "wrong": wrong, "lost": lost, "lost_by": reasons, "flags": flags}
    return task | {"diagnosis": counts}


def write_sealed_run(folder: Path, n: int = 30, seed: int = 1, **fields: Any) -> Path:
    """A run of a held-out suite beside a task that is not held out, under a real seal."""
    build = RecordBuilder(folder, seed)
    rows = {"agieval": build.bbh(n), "deepmind_math": build.gsm8k(n), "gsm8k": build.gsm8k(n)}
    titles = {"agieval": "AGIEval", "deepmind_math": "DeepMind Mathematics", "gsm8k": "GSM8K"}
    tasks = {name: build.task(name, titles[name], "exact_match", rows[name]) for name in rows}
    tasks["agieval"] = diagnosed(tasks["agieval"], None)
    tasks["deepmind_math"] = diagnosed(tasks["deepmind_math"], 6, latex=4, closing_phrase=2)
    suite = {
        "name": "unseen",
        "title": "Unseen suite",
        "held_out": True,
        "complete": False,
        "missing": ["href"],
        "pairs": [
            {"dev": ["gsm8k", "math"], "unseen": "deepmind_math"},
            {"dev": ["bbh"], "unseen": "agieval"},
        ],
        **interval(0.4, 2 * n),
    }
    store = folder.parent
    look = {
        "who": "somebody@somewhere",
        "asked_by": "person",
        "reason": "the final checkpoint",
        "family": "tulu-8b",
        "lineage": [{"base": "llama"}, {"training": "tulu-8b", "step": 400}],
        "looks_before": 2,
        "dev": DEV,
    }
    entry = Ledger(store).append("run", folder.name, look)
    taken = TakenLook.of({"agieval": ["unseen"], "deepmind_math": ["unseen"]}, entry)
    for name in taken.tasks:
        with sealed_samples(folder, name) as write:
            for row in rows[name]:
                write(line_of(row))
    counts = {name: len(rows[name]) for name in taken.tasks}
    held_out = as_json(taken.held_out) | {"sealed": as_json(sealed_files(folder, counts))}
    why = {"href": "it needs a judge; add --judge openai:NAME@URL to the command."}
    run = {"id": folder.name, "suite": suite, "held_out": held_out, "not_run": why}
    return build.write(tasks, **(run | fields))


@pytest.fixture(scope="session")
def sealed_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a held-out suite, two of its three tasks under seal."""
    return write_sealed_run(tmp_path_factory.mktemp("store") / "tulu-8b-unseen-5e6f7a8b")


@pytest.fixture(scope="session")
def judged_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with judgements of its first sample: one given, one refused."""
    build = RecordBuilder(tmp_path_factory.mktemp("judged"))
    rows = build.gsm8k(5)
    question = {"messages": [{"role": "user", "content": "Which is better? " + HOSTILE[1]}]}
    said = {"text": "The better one is A <b>bold</b>", "similarities": [], "error": ""}
    price = {"prompt_tokens": 812, "completion_tokens": 9}
    refused = {"text": "", "error": "no judgement: the budget is used up"}
    rows[0]["judgements"] = [question | said | price, question | said | price | refused]
    return build.write({"href": build.task("href", "HREF", "exact_match", rows)})


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four checkpoints of one training, each with a development and a held-out run."""
    place = tmp_path_factory.mktemp("checkpoints")
    for step in range(100, 500, 100):
        model = {"name": f"tulu-8b/{step}", "fingerprint": f"{step:064x}", "engine": {}}
        for suite, write in (("dev", write_clean_run), ("unseen", write_sealed_run)):
            folder = place / f"{step}-{suite}"
            created = f"2026-11-22T1{step // 100}:00:00Z"
            write(folder, 40, step, id=folder.name, model=model, created=created)
    return place


@pytest.fixture(scope="session")
def record_builder() -> type[RecordBuilder]:
    """`RecordBuilder`, for tests that need other tasks."""
    return RecordBuilder


@pytest.fixture
def write_record() -> Callable[[Path, int], Path]:
    """`write_clean_run`, for tests that choose the size."""
    return write_clean_run


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens a file in a browser of its own; fails on any request, error or word on the console."""
    noise: list[str] = []
    contexts: list[Any] = []

    def open_it(path: Path, fragment: str = "", **options: Any) -> Any:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
        contexts.append(context)
        context.set_default_timeout(10_000)
        page = context.new_page()

        def requested(request: Any) -> None:
            if not request.url.startswith((path.parent.as_uri(), "data:")):
                noise.append(f"request {request.url}")

        page.on("request", requested)
        page.on("console", lambda message: noise.append(f"console {message.text}"))
        page.on("pageerror", lambda error: noise.append(f"error {error}"))
        page.on("dialog", lambda dialog: noise.append(f"dialog {dialog.message}"))
        page.goto(path.as_uri() + fragment)
        if options.get("java_script_enabled", True) and page.locator(".sample").count():
            page.wait_for_selector(".sample > header, .sample > p")
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert noise == []
