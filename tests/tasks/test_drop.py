"""DROP: prompts to the byte, the benchmark's scores as lm-eval's, and the honest metric beside them."""

from __future__ import annotations

import gzip
import importlib.util
import json
import random
import time
from pathlib import Path
from typing import Any

import datasets
import pytest

from olmes import OlmesError, Response
from olmes.benchmark.exemplars import package_file
from olmes.benchmark.registry import load_task
from olmes.benchmark.task import Task
from olmes.data.resolve import resolve
from olmes.models.recorded_rows import RecordedResponse
from olmes.requests.recorded import Finder
from olmes.scoring.spans import drop

TASK = load_task("drop")
DEMO = Path(__file__).parents[2] / "tasks/demo"
SIMPLE_EVALS = "drop/drop_v0_dev.jsonl.gz"


def rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def demo(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DEMO / name).read_text("utf-8").splitlines()]


def asked(exemplars: list[dict[str, Any]]) -> Task:
    """The task with exemplars, as reading its data would leave it."""
    task = TASK.with_settings({"max_tokens": 50})
    task.exemplar_rows = exemplars
    return task


@pytest.fixture(scope="module")
def fixture(shared_data: Path) -> list[dict[str, Any]]:
    """The official fixture's questions, one row each, as the hub has them."""
    path = shared_data / "drop/official_format_fixture.json.gz"
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        passages = json.load(stream)
    return [
        {"passage": passage["passage"], **pair}
        for passage in passages.values()
        for pair in passage["qa_pairs"]
    ]


def test_golden_prompts(fixture: list[dict[str, Any]], shared_reference: Path) -> None:
    """Trap 12: the one development task without a chat."""
    task = asked(fixture)
    golden = rows(shared_reference / "prompts/drop_format_fixture.jsonl.gz")
    assert len(golden) == 3
    for row in golden:
        request = task.request(fixture[row["doc_id"]])
        assert request.prompt == row["prompt"]
        assert not request.messages
        assert row["messages"] is None
        assert request.prefill == row["assistant_prefix"]
        assert task.gold(fixture[row["doc_id"]]) == row["gold"]
        wanted = row["generation"]
        assert request.generation.max_tokens == wanted["max_gen_toks"]
        assert request.generation.temperature == wanted["temperature"]
        assert list(request.generation.stop) == wanted["stop_sequences"]


def test_the_scores_are_lm_evals(shared_data: Path) -> None:
    spec = importlib.util.spec_from_file_location(
        "lm_eval_drop", package_file("lm_eval", "tasks/drop/utils.py")
    )
    assert spec is not None
    assert spec.loader is not None
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    golds = [row["ref_text"].split("|") for row in rows(shared_data / SIMPLE_EVALS)]
    tokens = " ".join(" ".join(gold) for gold in golds[:3000]).split(" ")
    odd = ["a", "The", "$5", "1,234", "12.25.", "-3", "nan", "1e5", "inf", "١٢", "10\n\nPassage",
           "half-time", "", "%", "1_000", "½", "U.S.", "3-4", "4.", "“x”", "don't", "an"]  # fmt: skip
    draw = random.Random(16)
    compared = 0
    for _ in range(1_000):
        gold = draw.choice(golds)
        gold = draw.sample(gold, min(len(gold), draw.randint(1, 3)))
        gold += [draw.choice(odd + tokens)] * (draw.random() < 0.2)
        said = [
            draw.choice(draw.choice(golds)),
            " " + ", ".join(gold),
            " ".join(draw.choice(tokens + odd * 100) for _ in range(draw.randint(0, 6))),
            f"The answer is {gold[0]}" + draw.choice([".", "\n", " yards", "%", "-yard"]),
        ]
        for text in said:
            exact, f1 = theirs.get_metrics([text], tuple(gold))
            assert (float(drop.exact(text, gold)), drop.f1(text, gold)) == (exact, f1), (text, gold)
            spans = [each for each in text.split(", ") if each] or [""]
            _, aligned = theirs.get_metrics(spans, tuple(gold))
            assert round(drop.aligned_f1(spans, gold), 2) == pytest.approx(aligned, abs=0.0101)
            compared += 1
    assert compared == 4_000


def test_three_forms_of_the_set_are_one(fixture: list[dict[str, Any]]) -> None:
    answer = {"number": "2", "date": {"day": "", "month": "", "year": ""}, "spans": []}
    other = {"number": "", "date": {"day": "", "month": "", "year": ""}, "spans": ["two", "2"]}
    base = {"passage": "P.", "question": "Q?", "answer": answer}
    official = {**base, "validated_answers": [answer, other]}
    hub = {
        **base,
        "validated_answers": {
            "number": ["2", ""], "date": [answer["date"]] * 2, "spans": [[], ["two", "2"]],
            "worker_id": ["", ""],
        },
    }  # fmt: skip
    assert TASK.gold(official) == TASK.gold(hub) == [["2"], ["two", "2"]]
    simple = {
        "context": "Passage: P.\nQuestion: Q?\nAnswer:",
        "completion": " 2",
        "ref_text": "2|two and 2",
    }
    assert TASK.gold(simple) == [["2"], ["two and 2"]]
    found = Finder(TASK, None).instance(RecordedResponse(source="line 1", text="2", doc=simple)).doc
    assert (found["passage"], found["question"]) == ("P.", "Q?")
    assert TASK.gold(base | {"validated_answers": []}) == [["2"]]
    assert [gold for row in fixture[:2] for gold in TASK.gold(row)] == [["sixth terminal"], ["2"]]
    broken = RecordedResponse(source="line 1", text="2", doc={"context": "P.", "ref_text": "2"})
    with pytest.raises(OlmesError, match="line 1: the inline doc is not an item of drop"):
        Finder(TASK, None).instance(broken)


def test_the_set_of_simple_evals_can_be_scored_and_not_asked(shared_data: Path) -> None:
    said: list[str] = []
    data = resolve(TASK, shared_data, say=said.append, prompts=False)
    assert len(data.instances) == 9536
    assert not data.official
    completions = [row["completion"] for row in rows(shared_data / SIMPLE_EVALS)[:300]]
    for one, text in zip(data.instances, completions, strict=False):
        assert TASK.score(one.doc, Response(text=text)).values == {"f1": 1.0, "exact_match": 1.0}
    with pytest.raises(OlmesError, match="exemplars are drawn from DROP's training split"):
        asked([]).request(data.instances[0].doc)


def test_a_folder_of_that_set_is_passed_over_by_a_run(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    said: list[str] = []
    assert resolve(TASK, shared_data, say=said.append).origin == "demo"
    assert said[0] == f"drop: {shared_data} does not hold it; looking elsewhere."


def test_items_and_exemplars_from_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fixture: list[dict[str, Any]]
) -> None:
    """Both splits with the fields that the hub's copy has."""
    folder = tmp_path / "EleutherAI/drop"
    folder.mkdir(parents=True)
    for split, items in (("train", fixture), ("validation", fixture[:2])):
        rows_of_split = [
            {
                "passage": row["passage"], "question": row["question"], "query_id": row["query_id"],
                "answer": {
                    "number": row["answer"]["number"], "spans": row["answer"]["spans"],
                    "date": {"day": "", "month": "", "year": ""}, "worker_id": "", "hit_id": "",
                },
                "validated_answers": {
                    "number": ["7"], "spans": [["x", "y"]],
                    "date": [{"day": "", "month": "", "year": ""}], "worker_id": [""], "hit_id": [""],
                },
            }
            for row in items
        ]  # fmt: skip
        lines = "\n".join(json.dumps(row) for row in rows_of_split)
        (folder / f"{split}.jsonl").write_text(lines, "utf-8")
    for name in ("OLMES_DATA", "OLMES_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OLMES_HUB_MIRROR", str(tmp_path))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    task = asked([])
    data = resolve(task, say=lambda line: None)
    assert (data.origin, data.official, len(data.instances)) == ("hub", False, 2)
    assert len(task.exemplar_rows) == len(fixture)
    assert task.gold(data.instances[1].doc) == [["2"], ["7"]]
    assert task.request(data.instances[0].doc).prompt == asked(fixture).request(fixture[0]).prompt


def check_oracle(items: list[dict[str, Any]]) -> set[float]:
    """The values of `f1` that right responses got."""
    reached = set()
    for doc in items:
        perfect, corrupt = (TASK.perfect_response(doc, corrupt=each) for each in (False, True))
        values = scored(doc, perfect)
        assert values == TASK.perfect_values(doc)
        assert values["f1_stated"] == 1.0
        reached.add(values["f1"])
        assert set(scored(doc, corrupt).values()) == {0.0}
    return reached


def test_oracle(fixture: list[dict[str, Any]], shared_data: Path) -> None:
    assert check_oracle(fixture) == {1.0}
    assert check_oracle(rows(shared_data / SIMPLE_EVALS)[::20]) == {1.0}


def test_demo_data_meet_every_kind_of_answer() -> None:
    items, exemplars = demo("drop.jsonl"), demo("drop-exemplars.jsonl")
    assert len(items) >= 24
    assert min(check_oracle(items)) < 1  # answers of several spans
    for kind in ("number", "spans"):
        assert any(doc["answer"][kind] for doc in items)
    assert any(any(doc["answer"]["date"].values()) for doc in items)
    assert any(len(TASK.gold(doc)) > 1 for doc in items)
    assert len(exemplars) > 3
    prompts = {str(asked(exemplars).request(doc).prompt).rpartition("\n\n")[0] for doc in items}
    assert len(prompts) == 1  # drawn anew for each item, and so the same


def scored(doc: dict[str, Any], response: Response) -> dict[str, Any]:
    """The values of both scorers."""
    values: dict[str, Any] = {}
    for scorer in TASK.scorers:
        values |= getattr(TASK, scorer)(doc, response).values
    return values


def values_of(answer: dict[str, Any], text: str) -> dict[str, Any]:
    doc = {"passage": "P.", "question": "Q?", "answer": answer, "validated_answers": []}
    return scored(doc, Response(text=text))


def number(value: str) -> dict[str, Any]:
    return {"number": value, "date": {}, "spans": []}


def spans(*texts: str) -> dict[str, Any]:
    return {"number": "", "date": {}, "spans": list(texts)}


DATE = {"number": "", "date": {"day": "4", "month": "May", "year": "1871"}, "spans": []}


# What the benchmark's scorer makes of a response, and what a reader does (f1, exact | honest).
@pytest.mark.parametrize(
    ("text", "answer", "f1", "exact", "honest"),
    [
        (" Kansas City", spans("Kansas City"), 1, 1, 1),
        ("the Kansas-City!", spans("Kansas City"), 1, 1, 1),
        ("The answer is Kansas City.", spans("Kansas City"), 0.67, 0, 1),
        (" Kansas City\n\nPassage: In 1904 a mill", spans("Kansas City"), 0.5, 0, 1),
        ("Norland", spans("Kansas City"), 0, 0, 0),
        ("Kansas", spans("Kansas City"), 0.67, 0, 2 / 3),
        (" 12.25", number("12.25"), 1, 1, 1),
        ("12.25.", number("12.25"), 0, 0, 1),  # 1225 without its full stop
        ("12 yards", number("12"), 0.67, 0, 1),
        ("twelve", number("12"), 0, 0, 1),
        ("1,234", number("1234"), 1, 1, 1),
        ("$5", number("5"), 1, 1, 1),
        ("12 or 13", number("12"), 0.5, 0, 0),
        ("12-13", number("13"), 0.67, 0, 0),
        ("13", number("12"), 0, 0, 0),
        ("1884, 1902", spans("1884", "1902"), 0.33, 0, 1),
        ("1884 and 1902.", spans("1884", "1902"), 0.25, 0, 1),
        ("1902\n1884", spans("1884", "1902"), 0, 0, 1),  # read as one word
        ("1884", spans("1884", "1902"), 0.5, 0, 0.5),
        ("mill, kiln and vineyard", spans("mill", "kiln", "vineyard"), 0.13, 0, 1),
        ("Rhine and Main, Saar", spans("Rhine and Main", "Saar"), 0.43, 0, 1),
        ("4 May 1871", DATE, 1, 1, 1),
        ("May 1871", DATE, 0.8, 0, 0.8),
        ("<think>Norland</think> Kansas City", spans("Kansas City"), 0.8, 0, 1),
        ("", spans("Kansas City"), 0, 0, 0),
    ],
)
def test_what_counts(
    text: str, answer: dict[str, Any], f1: float, exact: int, honest: float
) -> None:
    expected = {"f1": f1, "exact_match": exact, "f1_stated": honest}
    assert values_of(answer, text) == pytest.approx(expected)


def test_the_best_of_several_answers_counts() -> None:
    doc = {
        "passage": "P.", "question": "Q?", "answer": number("13"),
        "validated_answers": [spans("thirteen years"), number("13")],
    }  # fmt: skip
    assert TASK.gold(doc) == [["13"], ["thirteen years"]]
    assert TASK.score(doc, Response(text="thirteen years")).values["f1"] == 1
    blank = dict(doc, answer=spans(" "), validated_answers=[])
    assert (
        TASK.score(blank, Response(text="")).values["f1"] == 0
    )  # never right, as in the reference


def test_what_may_be_cut_off_states_no_number() -> None:
    doc = {"passage": "P.", "question": "Q?", "answer": number("12"), "validated_answers": []}
    for text, honest in (
        (" 12", 0),
        (" 12\nThey came in May and 1", 1),
        (" 12\n\nPassage: In 1904 a", 1),
        ("The answer is 12. It", 1),
    ):
        found = TASK.score_stated(doc, Response(text=text, finish="length"))  # type: ignore[attr-defined]
        assert found.values == {"f1_stated": honest}, text


def test_a_blank_response_is_unparsed() -> None:
    doc = demo("drop.jsonl")[0]
    assert TASK.score(doc, Response(text=" \n")).unparsed
    assert not TASK.score(doc, Response(text="13")).unparsed


def test_votes_and_clusters() -> None:
    assert TASK.vote("The Kansas-City.\n\nPassage: x") == TASK.vote("kansas city") == "kansas city"
    assert TASK.vote("1,234") == TASK.vote("1234.0")
    assert TASK.vote(None) is None
    items = demo("drop.jsonl")
    assert len({TASK.cluster(doc) for doc in items}) == len({doc["passage"] for doc in items})


def test_more_shots_than_exemplars_are_refused() -> None:
    task = asked(demo("drop-exemplars.jsonl")).with_settings({"shots": 9})
    with pytest.raises(OlmesError, match="has 5 exemplars, but shots=9"):
        task.request(demo("drop.jsonl")[0])
    none = TASK.with_settings({"shots": 0}).request(demo("drop.jsonl")[0])
    assert str(none.prompt).startswith("Passage: The harbour")


HOSTILE = {
    "words": "word " * 20_000,
    "numbers": "1 " * 30_000,
    "lists": ", " * 30_000,
    "lines": "\n" * 100_000,
    "passages": "x Passage: " * 20_000,
    "blanks": " " * 100_000,
    "hyphens": "-" * 100_000,
    "NUL and surrogate": "\0\ud800 5",
    "digits": "9" * 100_000,
}


@pytest.mark.parametrize("answer", [number("5"), spans("a", "b"), DATE])
def test_hostile_text_is_judged_in_time(answer: dict[str, Any]) -> None:
    for name, text in HOSTILE.items():
        begin = time.process_time()
        values_of(answer, text)
        assert time.process_time() - begin < TASK.time_limit, name
