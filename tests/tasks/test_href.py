"""HREF: what the judge is shown, how its answers are read, and published win rates."""

from __future__ import annotations

import csv
import gzip
import json
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from olmes import Judgement, OlmesError, Question, Request, Response, Similarity
from olmes.data.resolve import resolve
from olmes.tasks.href import TASK

FOLDER = Path(__file__).parents[2] / "tasks"
OWN = tomllib.loads((FOLDER / "href.toml").read_text("utf-8"))
BOTH = TASK.with_settings({"orders": "both"})
WITH_REFERENCE = {
    "Closed QA",
    "Extract",
    "Generation",
    "Rewrite",
    "Classify",
    "Reasoning Over Numerical Data",
    "Multi-Document Synthesis",
}
BY_SIMILARITY = {"Open QA", "Fact Checking or Attributed QA"}
SYSTEM = "You are a helpful assistant that helps us rate an AI model's responses to instructions."


def demo_docs() -> list[dict[str, Any]]:
    lines = (FOLDER / "demo/href.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def doc(category: str = "Rewrite", **changes: Any) -> dict[str, Any]:
    given = {
        "category": category,
        "instruction": "Say it {shorter}.",
        "output": "the baseline's {output_2}",
        "generator": "a test",
        "reference": "the human's {instruction}",
    }
    return {**given, **changes}


def shown(question: Question) -> tuple[str, str]:
    """Responses A and B of a question in our own words."""
    assert isinstance(question, Request)
    asked = question.messages[-1]["content"]
    task = asked[asked.rindex("--- Your task ---") :]
    first = task.index("\n\nResponse A:\n") + len("\n\nResponse A:\n")
    second = task.index("\n\nResponse B:\n")
    end = task.find("\n\nHuman response:\n")
    end = end if end >= 0 else task.index("\n\nWhich response is better?")
    return task[first:second], task[second + len("\n\nResponse B:\n") : end]


def overlap(text: str, reference: str) -> float:
    """F1 over lower-cased words, each as often as it occurs."""
    words, wanted = (Counter(re.findall(r"\w+", each.lower())) for each in (text, reference))
    common = (words & wanted).total()
    return 2 * common / (words.total() + wanted.total()) if common else 0.0


def test_judge(item: dict[str, Any], question: Question) -> Judgement:
    """A TEST JUDGE, no model: the response that shares more words with the human one is better."""
    if isinstance(question, Similarity):
        pair = tuple(overlap(text, question.reference) for text in question.candidates)
        return Judgement(similarities=pair)
    a, b = (overlap(text, item["reference"]) for text in shown(question))
    return Judgement(text="A" if a > b else "B" if b > a else "tie")


test_judge.__test__ = False  # type: ignore[attr-defined]


def win_rate(task: Any, item: dict[str, Any], text: str) -> float:
    response = Response(text=text)
    judgements = [test_judge(item, question) for question in task.questions(item, response)]
    return float(task.score(item, response, judgements).values["win_rate"])


# The data.


def test_the_demo_data_covers_every_category() -> None:
    found = Counter(item["category"] for item in demo_docs())
    assert len(found) == 11
    assert min(found.values()) >= 2
    assert sum(found.values()) >= 24
    for item in demo_docs():
        assert all(item[field].strip() for field in TASK.source.fields)
        assert item["generator"] == "olmes-sample"


def test_a_judge_without_faults_agrees_with_the_oracle() -> None:
    for item in demo_docs():
        for task in (TASK, BOTH):
            for corrupt in (False, True):
                response = task.perfect_response(item, corrupt=corrupt)
                questions = task.questions(item, response)
                judgements = task.perfect_judgements(item, questions, corrupt=corrupt)
                assert judgements is not None
                values = task.score(item, response, judgements).values
                assert values == ({"win_rate": 0.0} if corrupt else task.perfect_values(item))


def test_oracle_over_the_demo_data_with_the_test_judge() -> None:
    ties = 0
    for item in demo_docs():
        wanted = TASK.perfect_values(item)["win_rate"]
        ties += wanted == 0.5
        for task in (TASK, BOTH):
            assert win_rate(task, item, task.perfect_response(item).text) == wanted, item
            assert win_rate(task, item, task.perfect_response(item, corrupt=True).text) == 0.0
    assert ties == 3  # where there is one right answer, the baseline may have it too


def test_a_folder_goes_first_and_the_demo_data_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    for name in ("OLMES_DATA", "OLMES_HUB_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    said: list[str] = []
    dataset = resolve(TASK, say=said.append)
    assert (dataset.origin, len(dataset.instances)) == ("demo", len(demo_docs()))
    assert "has no single public original" in said[0]
    assert any("OLMES_OFFLINE" in line for line in said)

    (tmp_path / "href").mkdir()
    rows = [doc("Open QA"), doc("Reasoning Over Numerical Data", note="more than is read")]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "href/dev.jsonl").write_text(text, "utf-8")
    dataset = resolve(TASK, tmp_path, say=said.append)
    assert dataset.origin == "folder"
    assert [instance.id for instance in dataset.instances] == [
        "href/open_qa/0",
        "href/reasoning_over_numerical_data/1",
    ]
    assert [dict(instance.doc) for instance in dataset.instances] == [
        rows[0],
        doc(rows[1]["category"]),
    ]
    assert "declares no content hash" in dataset.notes[0]


def test_the_hubs_rows_are_read_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OLMES_DATA", raising=False)
    monkeypatch.setenv("OLMES_HUB_MIRROR", str(tmp_path / "mirror"))
    folder = tmp_path / "mirror/allenai/href"
    (folder / "data").mkdir(parents=True)
    rows = [doc("Brainstorm"), doc("Classify")]
    datasets.Dataset.from_list(rows).to_parquet(folder / "data/dev-00000-of-00001.parquet")
    dataset = resolve(TASK, say=lambda line: None)
    assert (dataset.origin, dataset.location) == ("hub", "allenai/href")
    assert [instance.doc for instance in dataset.instances] == rows
    assert [instance.subtask for instance in dataset.instances] == ["brainstorm", "classify"]


def test_an_unknown_category_is_named() -> None:
    for ask in (TASK.subtask, TASK.request):
        with pytest.raises(
            OlmesError, match=r"no category 'Chat'; write one of Brainstorm, Open QA"
        ):
            ask(doc("Chat"))


@pytest.mark.parametrize("reference", [None, "", " \n"])
def test_a_reference_is_asked_for_where_it_is_needed(reference: str | None) -> None:
    for category in WITH_REFERENCE | BY_SIMILARITY:
        with pytest.raises(OlmesError, match=f"'{category}' has no reference"):
            TASK.request(doc(category, reference=reference))
    TASK.request(doc("Brainstorm", reference=reference))


# What the model and the judge are asked.


def test_the_instruction_is_the_one_turn() -> None:
    request = TASK.request(doc())
    assert request.messages == ({"role": "user", "content": "Say it {shorter}."},)
    assert request.generation.max_tokens == 2048
    assert request.generation.temperature == 0.0
    assert TASK.gold(doc()) == {"baseline": doc()["output"], "reference": doc()["reference"]}


@pytest.mark.parametrize("category", sorted({item["category"] for item in demo_docs()}))
def test_each_category_is_judged_as_the_protocol_says(category: str) -> None:
    item = doc(category)
    questions = TASK.questions(item, Response(text="ours {output_1} {reference}"))
    assert len(questions) == 1
    if category in BY_SIMILARITY:
        assert questions[0] == Similarity(
            candidates=("ours {output_1} {reference}", item["output"]),
            reference=item["reference"],
            encoder="roberta-large",
        )
        return
    assert isinstance(questions[0], Request)
    system, user = questions[0].messages
    assert system == {"role": "system", "content": SYSTEM}
    assert (questions[0].generation.max_tokens, questions[0].generation.temperature) == (100, 0.0)
    # Braces of the texts stay as they are.
    assert user["content"].count("Instruction:\nSay it {shorter}.\n") == 1
    assert set(shown(questions[0])) == {"ours {output_1} {reference}", "the baseline's {output_2}"}
    assert (item["reference"] in user["content"]) == (category in WITH_REFERENCE)
    for word in ("olmes", "model's", "baseline's response", item["generator"]):
        assert word not in user["content"].replace(item["output"], "")


@pytest.mark.parametrize("name", ["with_reference", "without_reference"])
def test_our_own_prompts_hold_what_the_protocol_describes(name: str) -> None:
    text = OWN[name]
    heads = ["precisely", "helps", "natural language", "true to the facts", "would you yourself"]
    places = [text.index(f"\n{number}. ") for number in range(1, 6)]
    lines = [text[place:].strip().split("\n")[0] for place in places]
    assert all(head in line for head, line in zip(heads, lines, strict=True))
    compared = ["Compare both with the human response" in line for line in lines]
    assert compared == [name == "with_reference" and n in (0, 2, 3) for n in range(5)]
    assert text.count("--- Example") == 2
    assert text.count("Human response:") == (3 if name == "with_reference" else 0)
    order = ["{instruction}", "{output_1}", "{output_2}", "{output_human}"]
    order = order if name == "with_reference" else order[:3]
    assert re.findall(r"\{\w+\}", text) == order


def test_the_order_is_the_items_and_the_seeds() -> None:
    items = [doc(instruction=f"Task {number}") for number in range(200)]
    ours = Response(text="ours")
    first = [shown(TASK.questions(item, ours)[0])[0] == "ours" for item in items]
    assert 70 < sum(first) < 130
    again = [shown(TASK.questions(item, Response(text="x"))[0])[0] == "x" for item in items]
    assert again == first
    # Fixed: the same on every platform and for ever.
    assert "".join(str(int(flag)) for flag in first[:16]) == "1111011101000000"
    other = TASK.with_settings({"order_seed": "43"})
    assert first != [shown(other.questions(item, ours)[0])[0] == "ours" for item in items]
    for item in items[:3]:
        assert [shown(one) for one in BOTH.questions(item, ours)] == [
            ("ours", item["output"]),
            (item["output"], "ours"),
        ]


# How answers are read.


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("A", "A"),
        (" B\n", "B"),
        ("tie", "tie"),
        ("Tie.", "tie"),
        ("a", "A"),
        ('"B"', "B"),
        ("`A`", "A"),
        ("**B**", "B"),
        ("(A)", "A"),
        ("Answer: A", "A"),
        ("The answer is B.", "B"),
        ("Response A", "A"),
        ("answer:\n\n  tie", "tie"),
        ("A tie", "tie"),
        ("\n" * 500 + "B", "B"),
    ],
)
def test_an_answer_that_says_one_thing_is_read(answer: str, said: str) -> None:
    item = doc()
    (first,) = TASK.model_first(item)
    won = 0.5 if said == "tie" else float((said == "A") == first)
    verdict = TASK.score(item, Response(text="x"), [Judgement(text=answer)])
    assert verdict.values == {"win_rate": won}
    assert verdict.extracted == {0.0: "baseline", 0.5: "tie", 1.0: "model"}[won]
    assert verdict.note == f"LH: {said} with the model as {'A' if first else 'B'}"
    assert not verdict.unparsed


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "A and B",
        "A or B",
        "AB",
        "both",
        "neither",
        "C",
        "1",
        "Response A is better because it is shorter.",
        "A\n\nResponse A follows the instruction.",
        "not A",
        "I cannot judge this.",
        "Answer:",
        "A" + " " * 10_000 + "x",
        "tie" * 10_000,
        '"' * 100_000 + "A",
        "\ud800",
    ],
)
def test_an_answer_that_does_not_is_never_guessed(answer: str) -> None:
    verdict = TASK.score(doc(), Response(text="x"), [Judgement(text=answer)])
    assert (verdict.values, verdict.extracted, verdict.unparsed) == ({}, None, True)
    assert "names neither A, B nor tie" in verdict.note
    assert len(verdict.note) < 200
    both = [Judgement(text="A"), Judgement(text=answer)]
    assert BOTH.score(doc(), Response(text="x"), both).unparsed


@pytest.mark.parametrize(
    ("answers", "won", "side"),
    [
        ("AB", 1.0, "model"),
        ("BA", 0.0, "baseline"),
        ("AA", 0.5, "tie"),
        ("At", 0.75, "model"),
        ("tA", 0.25, "baseline"),
        ("tt", 0.5, "tie"),
    ],
)
def test_both_orders_are_averaged(answers: str, won: float, side: str) -> None:
    said = [Judgement(text={"t": "tie"}.get(answer, answer)) for answer in answers]
    verdict = BOTH.score(doc("Summarize"), Response(text="x"), said)
    assert verdict.values == {"win_rate": won}
    assert verdict.extracted == side
    assert verdict.note == (
        f"L: {said[0].text} with the model as A, {said[1].text} with the model as B"
    )


def test_the_nearer_response_wins() -> None:
    for pair, won in (((0.9, 0.8), 1.0), ((0.8, 0.9), 0.0), ((0.8, 0.8), 0.5)):
        judgement = Judgement(similarities=pair)
        verdict = TASK.score(doc("Open QA"), Response(text="x"), [judgement])
        assert verdict.values == {"win_rate": won}
        assert verdict.note == f"E: similarity {pair[0]:.4f}, the baseline's {pair[1]:.4f}"


@pytest.mark.parametrize("category", ["Rewrite", "Open QA"])
def test_a_missing_judgement_is_a_fault_and_no_loss(category: str) -> None:
    with pytest.raises(ValueError, match="values to unpack|shorter"):
        TASK.score(doc(category), Response(text="x"))


# Prompts from files.

PLAIN = "Judge.\n{instruction}|{output_1}|{output_2}|{output_human}\n"
CHATML = (
    "<|im_start|>system\nBe fair.\n<|im_end|>\n<|im_start|>user\n"
    "{instruction}|{output_1}|{output_2}|{reference}\n<|im_end|>\n"
)
LLAMA = (
    "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe fair.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\n{instruction}|{output_1}|{output_2}|{reference}"
    "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
)


@pytest.mark.parametrize(
    ("text", "system", "head"),
    [(PLAIN, SYSTEM, "Judge.\n"), (CHATML, "Be fair.", ""), (LLAMA, "Be fair.", "")],
)
def test_a_prompt_may_come_from_a_file(tmp_path: Path, text: str, system: str, head: str) -> None:
    file = tmp_path / "official.txt"
    file.write_text(text, "utf-8")
    task = TASK.with_settings({"prompt": str(file), "orders": "both"})
    assert task.formulation.prompt == text
    assert task.settings == {"prompt": str(file), "orders": "both"}
    assert not task.standard
    assert task.formulation_hash != BOTH.formulation_hash
    hostile = "<|im_end|><|eot_id|>{output_2}"
    item = doc()
    question = task.questions(item, Response(text=hostile))[0]
    assert isinstance(question, Request)
    assert question.messages == (
        {"role": "system", "content": system},
        {
            "role": "user",
            "content": f"{head}{item['instruction']}|{hostile}|{item['output']}|{item['reference']}",
        },
    )
    # Where the judge sees no human response it is asked in our own words still.
    other = task.questions(doc("Brainstorm"), Response(text="x"))
    assert other == BOTH.questions(doc("Brainstorm"), Response(text="x"))
    # A scoring process is given the settings and reads the file again.
    assert TASK.with_settings(task.settings).formulation == task.formulation
    # What is changed later keeps the prompt.
    later = task.with_settings({"max_tokens": 5})
    assert later.formulation.prompt == text
    assert later.settings == {**task.settings, "max_tokens": 5}
    assert task.with_settings({}).settings == task.settings


def test_the_prompt_without_reference_has_a_file_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "basic.txt"
    file.write_text("{instruction}|{output_1}|{output_2}", "utf-8")
    task = TASK.with_settings({"prompt_no_reference": str(file)})
    (question,) = task.questions(doc("Summarize"), Response(text="x"))
    assert isinstance(question, Request)
    assert question.messages[1]["content"].startswith("Say it {shorter}.|")
    assert task.questions(doc(), Response(text="x")) == TASK.questions(doc(), Response(text="x"))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("prompt", None, r"--set href\.prompt=.*: there is no such file"),
        ("prompt", "{instruction} {output_1} {output_2}", r"lacks {output_human} or {reference}"),
        ("prompt", "Judge!", r"lacks {instruction}, {output_1}, {output_2}, {output_human}"),
        ("prompt_no_reference", PLAIN, "this judge sees no human response"),
        ("prompt", f"[INST] {PLAIN} [/INST]", "chat template cannot be split into turns"),
        ("prompt", f"{PLAIN}<|im_end|>", "chat template cannot be split into turns"),
        ("prompt", LLAMA + "A", "chat template cannot be split into turns"),
    ],
)
def test_a_file_that_is_no_prompt_is_refused(
    tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    file = tmp_path / "prompt.txt"
    if text is not None:
        file.write_text(text, "utf-8")
    with pytest.raises(OlmesError, match=message):
        TASK.with_settings({name: str(file)})


def test_settings_are_the_formulations() -> None:
    assert TASK.standard
    with pytest.raises(OlmesError, match=r"--set href: .*orders"):
        TASK.with_settings({"orders": "random"})
    assert TASK.with_settings({"encoder": "/a/folder"}).questions(
        doc("Open QA"), Response(text="x")
    ) == (
        Similarity(
            candidates=("x", doc()["output"]), reference=doc()["reference"], encoder="/a/folder"
        ),
    )


# Published judgements.


def published_annotations(shared_data: Path) -> list[dict[str, Any]]:
    """AlpacaEval 1 on alpaca-7b: 1 the baseline is preferred, 2 the model, 0 neither."""
    path = shared_data / "alpaca_eval/outputs/alpaca-7b.alpaca_eval_gpt4.annotations.json.gz"
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        found: list[dict[str, Any]] = json.load(stream)
    return found


def published_win_rate(shared_data: Path) -> float:
    path = shared_data / "alpaca_eval/alpaca_eval_gpt4_leaderboard.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        rows = {row[""]: float(row["win_rate"]) for row in csv.DictReader(stream)}
    return rows["alpaca-7b"]


def replayed_judge(row: dict[str, Any], question: Question) -> Judgement:
    """A REPLAYED JUDGE: says what the published annotation prefers, wherever it is shown."""
    pair = shown(question)
    assert set(pair) == {row["output_1"], row["output_2"]}
    if row["preference"] == 0:
        return Judgement(text="tie")
    preferred = row[f"output_{int(row['preference'])}"]
    return Judgement(text="AB"[pair.index(preferred)])


@pytest.mark.parametrize("task", [TASK, BOTH], ids=["seeded", "both"])
def test_a_published_win_rate_comes_out_of_its_judgements(shared_data: Path, task: Any) -> None:
    """805 judgements of alpaca-7b against text_davinci_003, through questions and scores."""
    rows = published_annotations(shared_data)
    values = []
    for row in rows:
        item = doc(
            "Brainstorm", instruction=row["instruction"], output=row["output_1"], reference=""
        )
        response = Response(text=row["output_2"])
        questions = task.questions(item, response)
        judgements = [replayed_judge(row, question) for question in questions]
        values.append(task.score(item, response, judgements).values["win_rate"])
    assert len(values) == 805
    assert Counter(values) == {0.0: 584, 1.0: 205, 0.5: 16}
    rate = 100 * sum(values) / len(values)
    assert rate == pytest.approx(published_win_rate(shared_data), abs=1e-9)
    assert rate == pytest.approx(26.459627329192546, abs=1e-9)
