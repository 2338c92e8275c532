"""BIG-Bench Hard: prompts to the byte, both extractions as the reference's, and the honest metric."""

from __future__ import annotations

import gzip
import json
import random
import re
import time
from pathlib import Path
from typing import Any

import pytest

from olmes import Response
from olmes.benchmark.registry import load_task
from olmes.data.resolve import resolve
from olmes.tasks.bbh import LETTER, SUBTASKS, extracted, released
from tests.golden import prompt_hash

TASK = load_task("bbh")
DEMO = Path(__file__).parents[2] / "tasks/demo/bbh.jsonl"
Docs = dict[str, list[dict[str, Any]]]


def rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


@pytest.fixture(scope="module")
def docs(shared_data: Path) -> Docs:
    found: Docs = {}
    for file in TASK.source.files:
        with gzip.open(shared_data / file.path, "rt", encoding="utf-8") as stream:
            items = json.load(stream)["examples"]
        found[file.subtask] = [{**item, "subtask": file.subtask} for item in items]
    return found


def subtask_of(row: dict[str, Any]) -> str:
    return Path(row["file"]).name.removesuffix(".json.gz")


def scored(subtask: str, target: str, text: str, *, question: str = "", **about: Any) -> Any:
    doc = {"subtask": subtask, "input": question, "target": target}
    return TASK.score(doc, Response(text=text, **about))


def test_golden_prompts(docs: Docs, shared_reference: Path) -> None:
    golden = rows(shared_reference / "prompts/bbh.jsonl.gz")
    assert {subtask_of(row) for row in golden} == set(docs)
    for row in golden:
        doc = docs[subtask_of(row)][row["doc_id"]]
        request = TASK.request(doc)
        assert list(request.messages) == row["messages"]
        assert request.prefill == row["assistant_prefix"]
        assert TASK.gold(doc) == row["gold"]
        asked = row["generation"]
        generation = request.generation
        assert generation.max_tokens == asked["max_gen_toks"]
        assert generation.temperature == asked["temperature"]
        assert list(generation.stop) == asked["stop_sequences"]
        assert generation.n == asked["repeats"]


def test_every_hashed_prompt(docs: Docs, shared_reference: Path) -> None:
    checked = 0
    for row in rows(shared_reference / "prompts/all_prompt_hashes.jsonl.gz"):
        if row["task"] == "bbh:cot-v1::tulu":
            items = docs[subtask_of(row)]
            found = [prompt_hash(TASK.request(items[doc_id])) for doc_id in row["doc_ids"]]
            assert found == row["sha256_16"]
            checked += len(found)
    assert checked == 2188


def test_verdicts_are_the_references(shared_reference: Path) -> None:
    recorded = rows(shared_reference / "verdicts/bbh.jsonl.gz")
    assert len(recorded) == 2544
    for row in recorded:
        found = scored(row["subtask"], row["gold"], row["response"])
        assert (found.extracted or "") == row["B"]["extracted"]
        assert released(row["response"]) == row["A"]["extracted"]
        assert found.values["exact_match"] == row["B"]["reference"]["exact_match"]
        assert found.values["exact_match_release"] == row["A"]["reference"]["exact_match"]


@pytest.mark.slow
def test_published_accuracies(shared_data: Path) -> None:
    """The authors' own of code-davinci-002: with CoT the release's extraction gives them exactly.

    The later extraction finds some answers that have no full stop, and takes 1960 for -1960.
    """
    checked = 0
    for path in sorted((shared_data / "bbh/outputs").glob("code-davinci-002-*.jsonl.gz")):
        about, *outputs = rows(path)
        values = [scored(about["task"], row["target"], row["prediction"]).values for row in outputs]

        def accuracy(metric: str, values: list[dict[str, float]] = values) -> float:
            return 100 * sum(value[metric] for value in values) / len(values)

        published = about["published_metrics"]["accuracy"]
        if about["kind"] == "cot":
            assert accuracy("exact_match_release") == pytest.approx(published, abs=1e-9)
        elif about["task"] != "multistep_arithmetic_two":
            # Answers without a sentence, which only the later extraction reads.
            assert accuracy("exact_match") == pytest.approx(published, abs=1e-9)
        checked += 1
    assert checked == 18


def test_official_data(shared_data: Path) -> None:
    data = resolve(TASK, shared_data, say=lambda line: None)
    assert data.official
    assert len(data.instances) == 6511
    assert {one.subtask for one in data.instances} == set(SUBTASKS)


def check_oracle(items: list[dict[str, Any]]) -> int:
    """How many targets the protocol's extraction cannot find in a right response."""
    unreadable = 0
    for doc in items:
        perfect = TASK.score(doc, TASK.perfect_response(doc)).values
        assert perfect == TASK.perfect_values(doc)
        unreadable += perfect["exact_match"] == 0
        corrupt = TASK.score(doc, TASK.perfect_response(doc, corrupt=True))
        assert set(corrupt.values.values()) == {0.0}
    return unreadable


@pytest.mark.slow
def test_oracle_over_the_whole_data(docs: Docs) -> None:
    unreadable = {name: check_oracle(items) for name, items in docs.items()}
    assert {name: n for name, n in unreadable.items() if n} == {
        "movie_recommendation": 1,
        "ruin_names": 2,
        "word_sorting": 15,
    }


def test_demo_data_meet_every_kind_of_answer() -> None:
    items = [json.loads(line) for line in DEMO.read_text("utf-8").splitlines()]
    assert len(items) >= 27
    assert {doc["subtask"] for doc in items} == set(SUBTASKS)
    assert check_oracle(items) == 2
    assert any(
        not re.fullmatch(LETTER, doc["target"]) for doc in items if "Options:\n(A)" in doc["input"]
    )


# Trap 5 of the protocol: two extractors, two numbers; the first loses a character.
@pytest.mark.parametrize(
    ("text", "release", "later"),
    [
        ("So the answer is True.", 1, 1),
        ("So the answer is True", 0, 1),  # "Tru"
        ("So the answer is False. No, so the answer is True.", 0, 1),  # first, last
        ("So the answer is TRUE.", 1, 1),
        ("So the answer is **True**.", 0, 1),  # the release keeps punctuation
        ("Answer: True", 0, 1),
        ("True", 0, 1),
        ("", 0, 0),
    ],
)
def test_trap_5_two_extractions(text: str, release: int, later: int) -> None:
    values = scored("boolean_expressions", "True", text).values
    assert (values["exact_match_release"], values["exact_match"]) == (release, later)


def test_the_pattern_for_a_bare_letter_never_matches() -> None:
    found = scored("date_understanding", "(B)", "So the answer is B.", question=OPTIONS)
    assert found.extracted is None
    assert found.values == {
        "exact_match": 0.0,
        "exact_match_release": 0.0,
        "exact_match_lenient": 1.0,
    }


OPTIONS = "When?\nOptions:\n(A) in May\n(B) in July\n(C) on 5 August"


# What the later extraction reads, and what a reader does (protocol | honest).
@pytest.mark.parametrize(
    ("subtask", "target", "text", "protocol", "honest"),
    [
        ("date_understanding", "(B)", "So the answer is (B).", 1, 1),
        ("date_understanding", "(B)", "The answer is **B**", 0, 1),
        ("date_understanding", "(B)", "\\boxed{B}", 0, 1),
        ("date_understanding", "(B)", "The answer is in July.", 0, 1),
        ("date_understanding", "(B)", "The answer is not (A) but (B).", 0, 0),
        ("date_understanding", "(A)", "The answer is not (A).", 1, 0),
        ("date_understanding", "(B)", "The options are (A) and (B)", 1, 0),
        ("navigate", "No", "So the answer is No.", 1, 1),
        ("navigate", "No", "I do not know.", 1, 0),
        ("navigate", "No", "Therefore, we do not return: no.", 1, 1),
        ("navigate", "Yes", "The answer is yes, since nothing moved.", 1, 1),
        ("navigate", "Yes", "**Answer: Yes**\n\nThere is no other way.", 1, 1),
        ("navigate", "No", "There is no way to tell.", 1, 0),
        ("web_of_lies", "Yes", "Is it yes or no? Yes", 1, 1),
        ("formal_fallacies", "invalid", "The argument is not deductively valid.", 0, 1),
        ("formal_fallacies", "valid", "The argument is not deductively valid.", 1, 0),
        ("formal_fallacies", "valid", "It is either valid or invalid.", 0, 0),
        ("formal_fallacies", "invalid", "It is unclear whether it is invalid", 1, 0),
        ("boolean_expressions", "False", "= True and False = False", 1, 1),
        ("boolean_expressions", "True", "A = not not False" + " = not not not False" * 9, 0, 0),
        ("boolean_expressions", "True", "<think>False</think>True", 1, 1),
        ("multistep_arithmetic_two", "-15", "So the answer is 15.", 1, 0),  # the sign is punctuation
        ("multistep_arithmetic_two", "1250", "So the answer is 1,250.", 0, 1),
        ("multistep_arithmetic_two", "-15", "= -14 - 1 = -15. So the answer is -15.", 1, 1),
        ("multistep_arithmetic_two", "2", "So the answer is 2.5.", 1, 0),
        ("object_counting", "7", "So the answer is seven.", 0, 1),
        ("object_counting", "7", "So the answer is 7 things, of which 3 are red.", 1, 1),
        ("dyck_languages", "} ]", "So the answer is } ].", 1, 1),
        ("dyck_languages", "} ]", "So the answer is }].", 0, 1),
        ("dyck_languages", "} ]", "So the answer is: `} ]`", 0, 1),
        ("dyck_languages", "} ]", "So the answer is \\boxed{\\} ]}.", 0, 1),
        ("dyck_languages", "} ]", "The answer is [ { } ]", 0, 1),  # the whole sequence
        ("dyck_languages", "} ]", "So the answer is } ] ).", 0, 0),
        ("dyck_languages", "} ]", "We close both.", 0, 0),
        ("word_sorting", "fig it's plum", "So the answer is fig it's plum.", 0, 1),
        ("word_sorting", "date fig plum", "So the answer is date, fig, plum.", 0, 1),
        ("word_sorting", "date fig plum", "The answer is:\n1. date\n2. fig\n3. plum", 0, 1),
        ("word_sorting", "date fig plum", "Sorted: date < fig < plum", 0, 1),
        ("word_sorting", "date fig plum", "So the answer is date fig plum. I hope it helps.", 1, 1),
        ("word_sorting", "date fig plum", "So the answer is fig date plum.", 0, 0),
        ("word_sorting", "date fig plum", "So the answer is date fig.", 0, 0),
    ],
)  # fmt: skip
def test_what_counts(subtask: str, target: str, text: str, protocol: int, honest: int) -> None:
    question = {"date_understanding": OPTIONS, "dyck_languages": "Input: [ {"}.get(subtask, "")
    values = scored(subtask, target, text, question=question).values
    assert (values["exact_match"], values["exact_match_lenient"]) == (protocol, honest)


def test_flags() -> None:
    assert not scored("navigate", "No", "So the answer is No.").misformatted
    assert scored("navigate", "No", "The answer: no").misformatted
    assert scored("navigate", "No", "I do not know.").unparsed
    assert scored("navigate", "No", "").extracted is None
    cut = scored("object_counting", "7", "So we have 7", finish="length")
    assert cut.values["exact_match_lenient"] == 0


def test_votes() -> None:
    assert TASK.vote("(b)") == TASK.vote("(B)") == "(b)"
    assert TASK.vote("] ] >") == TASK.vote("]]>")
    assert TASK.vote("-5") != TASK.vote("5")
    assert TASK.vote(None) is None


def test_labels_are_read_line_by_line_as_the_templates_read_them() -> None:
    """The templates with `.*?` are quadratic; ours looks at no line twice."""
    draw = random.Random(3)
    pieces = [
        "answer",
        "Answer:",
        "answer is ",
        " (A)",
        "(B)",
        "(b)",
        "\n",
        " ",
        "x",
        "no",
        "yes",
        "valid",
    ]
    for _ in range(5_000):
        text = "".join(draw.choice(pieces) for _ in range(draw.randrange(14)))
        for answer in (LETTER, "[yY]es|[nN]o", "[a-z ]+"):
            templates = [
                rf"(?i)So the answer is ({answer})\.?", f"(?i)answer is ({answer})",
                f"(?i)answer:.*?({answer})", rf"(?i)answer\b.*?({answer})",
                f"({answer})", f"(?i)({answer})",
            ]  # fmt: skip
            found = next(filter(None, (re.findall(each, text) for each in templates)), [""])
            assert extracted(text, answer)[0] == found[-1].strip(), repr(text)


HOSTILE = {
    "labels": "answer: " * 20_000,
    "nouns": "answer " * 20_000,
    "closing sentences": "So the answer is " * 10_000,
    "letters": "(A) " * 40_000,
    "brackets": "] " * 60_000,
    "boxes": "\\boxed{" * 20_000,
    "tags": "<answer>" * 20_000,
    "lines": "\n" * 200_000,
    "numbers": "1. " * 40_000,
    "NUL and surrogate": "\0\ud800 the answer is (C)",
}
ONE_OF_A_KIND = {
    "word": "navigate",
    "number": "object_counting",
    "option": "date_understanding",
    "brackets": "dyck_languages",
    "list": "word_sorting",
}


@pytest.mark.parametrize("kind", ONE_OF_A_KIND)
def test_hostile_text_is_judged_in_time(kind: str) -> None:
    target = "(C)" if kind == "option" else "7"
    for name, text in HOSTILE.items():
        begin = time.process_time()
        scored(ONE_OF_A_KIND[kind], target, text, question=OPTIONS)
        assert time.process_time() - begin < TASK.time_limit, name


def test_settings() -> None:
    doc = json.loads(DEMO.read_text("utf-8").splitlines()[0])
    zero = TASK.with_settings({"shots": 0}).request(doc).messages
    assert len(zero) == 1
    assert zero[0]["content"].startswith(
        "Evaluate the result of a random Boolean expression.\n\nQ: "
    )
