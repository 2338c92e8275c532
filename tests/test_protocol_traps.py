"""The protocol's contradictions and traps: a test for each of the 24, by its number.

Where two sources of the protocol disagree, or its code does what nobody would expect, one reading is
ours: the one that the published numbers were made by (docs/protocol.md, section 10).
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from olmes import Request, Response
from olmes.benchmark.registry import load_suite, load_task
from olmes.data.resolve import resolve
from olmes.reproduction.paper import Paper, load_paper
from olmes.types import Doc

Docs = Callable[[str], list[Doc]]
FIRST_OF_POPQA = "What is Thomas Widdrington's occupation?"
COMPLETED = "Here is the completed function:\n\n```python\n"


@pytest.fixture
def paper() -> Paper:
    return load_paper("tulu3")


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docs:
    """The demo items of a task, as a run asks them."""
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    monkeypatch.delenv("OLMES_DATA", raising=False)

    def docs(name: str) -> list[Doc]:
        found = resolve(load_task(name), say=lambda line: None)
        assert found.origin == "demo"
        return [instance.doc for instance in found.instances]

    return docs


def user_turn(request: Request) -> str:
    """The last user turn of a chat."""
    assert request.messages[-1]["role"] == "user"
    return request.messages[-1]["content"]


def value(name: str, doc: Doc, text: str, metric: str) -> float:
    """What a metric says of one response."""
    found = load_task(name).score(doc, Response(text=text)).values[metric]
    assert isinstance(found, float)
    return found


def fits(scores: Iterable[float], items: int) -> bool:
    """Whether percentages with one decimal are all counts over so many items."""
    return all(abs(score - 100 * round(score * items / 100) / items) < 0.0501 for score in scores)


def column(paper: Paper, name: str) -> list[float]:
    """Every published number of a column, in percent."""
    found = [
        number
        for table in paper.tables
        for model in table.rows
        if (number := table.number(model, name)) is not None
    ]
    assert found
    return found


def test_1_mmlu_is_the_summarized_chain_of_thought_and_no_log_likelihood(
    demo: Docs, paper: Paper
) -> None:
    reported, variant = load_task("mmlu"), load_task("mmlu_mc")
    request = reported.request(demo("mmlu")[0])
    assert "Summarize your reasoning concisely" in user_turn(request)
    assert (len(request.messages), request.continuations) == (1, ())
    assert variant.request(demo("mmlu_mc")[0]).continuations == ("A", "B", "C", "D")
    assert "mmlu" in load_suite("tulu3_dev").tasks
    assert "mmlu_mc" not in load_suite("tulu3_dev").tasks
    # The paper has both series, and they are columns of their own.
    assert paper.published("Tülu 3 8B SFT", "mmlu") != paper.published("Tülu 3 8B SFT", "mmlu_mc")


def test_2_deepmind_math_is_asked_by_the_third_prompt(demo: Docs) -> None:
    task = load_task("deepmind_math")
    doc = demo("deepmind_math")[0]
    asked = user_turn(task.request(doc))
    assert asked.startswith("Solve the following math problem efficiently:\n")
    assert "solution.  Some example answers" in asked
    # The dot of earlier versions stood for any character.
    [pattern] = task.formulation.extract
    assert not re.search(pattern, "Therefore, the final answer is 4, I hope it is correct.")
    assert re.search(pattern, "Therefore, the final answer is 4. I hope it is correct.")


def test_3_deepmind_math_has_a_hundred_items_of_each_of_56_categories(paper: Paper) -> None:
    files = load_task("deepmind_math").source.files
    assert [file.rows for file in files] == [100] * 56
    assert paper.column("deepmind_math").items == 5600


def test_4_bigcodebench_is_greedy_pass_at_1(paper: Paper) -> None:
    task = load_task("bigcodebench_hard")
    generation = task.formulation.generation
    assert (task.primary, generation.n, generation.temperature) == ("pass@1", 1, 0.0)
    assert paper.column("bigcodebench_hard").metric == "pass@1"
    assert fits(column(paper, "bigcodebench_hard"), 148)
    assert not fits(column(paper, "bigcodebench_hard"), 164)


def test_5_bbh_has_two_extractions_and_two_series(demo: Docs, paper: Paper) -> None:
    doc = next(doc for doc in demo("bbh") if doc["target"] in ("True", "False"))
    said = f"So the answer is {doc['target']}"
    for text, release in ((said, 0.0), (f"{said}.", 1.0)):
        assert value("bbh", doc, text, "exact_match") == 1.0
        assert value("bbh", doc, text, "exact_match_release") == release
    assert paper.column("bbh").metric == "exact_match"
    assert paper.column("bbh_release").metric == "exact_match_release"
    for model in ("Tülu 3 8B SFT", "Tülu 3 8B DPO", "Llama 3.1 8B Instruct"):
        newer, older = paper.published(model, "bbh"), paper.published(model, "bbh_release")
        assert newer
        assert older
        assert newer.value > older.value


def test_6_ifeval_is_loose(paper: Paper) -> None:
    task = load_task("ifeval")
    doc = {
        "key": 1,
        "prompt": "Say hello.",
        "instruction_id_list": ["startend:quotation"],
        "kwargs": [{}],
    }
    found = task.score(doc, Response(text='Sure:\n"hello"')).values
    assert (found["prompt_level_loose"], found["prompt_level_strict"]) == (1.0, 0.0)
    assert task.primary == paper.column("ifeval").metric == "prompt_level_loose"


def test_7_math_is_flexible(paper: Paper) -> None:
    doc = {
        "problem": "p",
        "level": "Level 1",
        "type": "Algebra",
        "solution": "It is $\\boxed{5}$.",
    }
    assert value("math", doc, "So it is $\\boxed{5}$.", "exact_match") == 0.0
    assert value("math", doc, "So it is $\\boxed{5}$.", "exact_match_flex") == 1.0
    assert load_task("math").primary == paper.column("math").metric == "exact_match_flex"


def test_8_the_safety_scores_are_over_the_files_items_and_not_the_texts(paper: Paper) -> None:
    assert fits(column(paper, "harmbench"), 320)
    assert not fits(column(paper, "harmbench"), 321)
    assert fits(column(paper, "wildguardtest"), 749)
    for name, items in (("xstest", 450), ("jailbreaktrigger", 400), ("do_anything_now", 300)):
        assert fits(column(paper, name), items)
        assert paper.column(name).items == items
    harmbench = [one for one in load_task("safety").source.files if "harmbench" in one.path.lower()]
    assert sum(file.rows for file in harmbench) == paper.column("harmbench").items == 320


@pytest.mark.parametrize("suite", ["tulu3_dev", "tulu3_unseen"])
def test_9_every_task_has_the_budget_of_the_release_and_its_record_says_so(
    suite: str, paper: Paper
) -> None:
    for name in load_suite(suite).tasks:
        task, reported = load_task(name), paper.column(name).formulation
        form = task.formulation.to_json()
        found = form | form["generation"]
        assert {key: found[key] for key in reported} == dict(reported), name
        if "max_tokens" in reported:
            assert reported["max_tokens"] != 4096
    assert any("4,096" in note for note in paper.head.notes)


@pytest.mark.parametrize("name", ["humaneval", "humaneval_plus"])
def test_10_humanevals_phrase_is_in_the_user_turn_and_in_the_prefill(name: str, demo: Docs) -> None:
    request = load_task(name).request(demo(name)[0])
    assert user_turn(request).endswith(COMPLETED)
    assert request.prefill == COMPLETED


def test_11_exemplars_are_turns_without_leading_spaces_and_gsm8k_is_prefilled(demo: Docs) -> None:
    for name, shots, prefill in (("gsm8k", 8, "Answer:"), ("math", 4, "")):
        request = load_task(name).request(demo(name)[0])
        said = [turn["content"] for turn in request.messages if turn["role"] == "assistant"]
        assert len(said) == shots
        assert all(text == text.strip() and text.startswith(prefill) for text in said)
        assert request.prefill == prefill
        asked = [turn["content"] for turn in request.messages if turn["role"] == "user"]
        assert len(asked) == shots + 1
        assert all(text.startswith(("Question: ", "Problem:\n")) for text in asked)
        assert not any(text.endswith("Answer:") for text in asked)


def test_12_drop_alone_is_asked_without_a_chat_template(demo: Docs) -> None:
    drop = load_task("drop").request(demo("drop")[0])
    assert drop.messages == ()
    assert drop.prompt
    assert drop.prompt.count("Passage: ") >= 4
    assert drop.prompt.endswith("\nAnswer:")
    for name in load_suite("tulu3_dev").tasks:
        request = load_task(name).request(demo(name)[0])
        assert bool(request.messages) == (name != "drop"), name


def test_13_popqas_exemplars_are_test_items_and_an_alias_is_a_substring(demo: Docs) -> None:
    task, doc = load_task("popqa"), demo("popqa")[0]
    request = task.request(doc)
    assert request.messages[0]["content"] == f"Q: {FIRST_OF_POPQA} A:"
    assert request.messages[1]["content"] == "politician"
    assert len(request.messages) == 31
    assert request.generation.max_tokens == 15
    alias = next(alias for alias in task.gold(doc) if alias.isalpha())
    assert value("popqa", doc, f"un{alias.lower()}ish", "exact_match") == 1.0
    assert value("popqa", doc, "?", "exact_match") == 0.0


def test_14_agieval_strips_printed_labels_and_takes_any_capital_at_last() -> None:
    doc = {
        "passage": None,
        "question": "Which?",
        "options": ["(A)ants", "B. bees", "Cats", "(D)dogs"],
        "label": "C",
    }
    asked = user_turn(load_task("agieval").request(doc))
    # The third loses its own first letter, as in the reference.
    assert " (A) ants\n (B) bees\n (C) ats\n (D) dogs" in asked
    text = "because I Cannot say"
    assert value("agieval", doc, text, "exact_match") == 1.0
    assert value("agieval", doc, text, "exact_match_lenient") == 0.0


def test_15_the_fallbacks_of_mmlu_and_mmlu_pro_match_articles_and_words(demo: Docs) -> None:
    mmlu = next(doc for doc in demo("mmlu") if load_task("mmlu").gold(doc) == "A")
    assert value("mmlu", mmlu, "The answer is a function.", "exact_match") == 1.0
    assert value("mmlu", mmlu, "The answer is because.", "exact_match") == 0.0
    pro = next(doc for doc in demo("mmlu_pro") if load_task("mmlu_pro").gold(doc) == "B")
    # Without a word's end behind it, the first letter of a word is an option.
    assert value("mmlu_pro", pro, "The answer is because.", "exact_match") == 1.0


def test_16_gpqas_options_are_shuffled_by_111_and_the_items_row(demo: Docs) -> None:
    task = load_task("gpqa")
    for row, doc in enumerate(demo("gpqa")):
        names = [*(f"Incorrect Answer {number}" for number in (1, 2, 3)), "Correct Answer"]
        options = [preprocessed(doc[name]) for name in names]
        right = options[3]
        random.Random(111 + row).shuffle(options)
        shown = re.findall(r"^ \(([A-D])\) (.*)$", user_turn(task.request(doc)), re.MULTILINE)
        assert shown == list(zip("ABCD", options, strict=True))
        assert task.gold(doc) == "ABCD"[options.index(right)]


def preprocessed(text: str) -> str:
    """An option as the reference changes it."""
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ")


def test_17_what_a_response_says_is_computed_without_running_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    doc = {"question": "Solve it.", "answer": "4", "subtask": "algebra__linear_1d"}
    closing = "Therefore, the final answer is {}. I hope it is correct."
    program = closing.format("__import__('os').mkdir('was-here') or 4")
    assert value("deepmind_math", doc, program, "exact_match") == 0.0
    assert list(tmp_path.iterdir()) == []
    began = time.perf_counter()
    # The reference takes the sentence's end for a factorial, and hangs.
    assert (
        value("deepmind_math", doc, "Therefore, the final answer is 13604000!", "exact_match") == 0
    )
    assert value("deepmind_math", doc, closing.format("9**9**9**9"), "exact_match") == 0.0
    assert time.perf_counter() - began < 10
    symbolic = {
        "question": "Expand (x + 1)**2.",
        "answer": "x**2 + 2*x + 1",
        "subtask": "polynomials__expand",
    }
    found = {
        value("deepmind_math", symbolic, closing.format("1 + x*(x + 2)"), "exact_match")
        for _ in range(10)
    }
    assert found == {1.0}


def test_18_zero_is_an_argument_of_a_constraint_and_null_is_none() -> None:
    task = load_task("ifeval")
    arguments = {"keyword": "bees", "frequency": 0, "relation": "at least"}
    doc = {
        "key": 1,
        "prompt": "Write.",
        "instruction_id_list": ["keywords:frequency"],
        "kwargs": [arguments],
    }
    # The reference drops the 0 and draws a number in its place.
    for _ in range(5):
        assert (
            task.score(doc, Response(text="Nothing of them.")).values["prompt_level_loose"] == 1.0
        )
    hub = task.source.from_hub({**doc, "kwargs": [arguments | {"num_words": None}]})
    assert hub["kwargs"] == [arguments]


def test_19_ifeval_ood_is_not_the_papers(paper: Paper) -> None:
    reported = paper.column("ifeval_ood")
    assert reported.differs
    assert fits(column(paper, "ifeval_ood"), reported.items)
    assert reported.items == 284
    assert [file.rows for file in load_task("ifeval_ood").source.files] == [300]
    assert not fits(column(paper, "ifeval_ood"), 300)


@pytest.mark.parametrize(
    ("constraint", "arguments", "text"),
    [
        ("format:sub-bullets", {}, "no bullet at all"),
        ("format:quote_unquote", {}, "nothing is quoted"),
        ("ratio:sentence_balance", {}, "no sentence ends here"),
        ("ratio:sentence_words", {}, "Ab cd ef. Ab cd ef. Ab cd ef."),
        (
            "ratio:overlap",
            {"reference_text": "abcd", "percentage": 100},
            "abcd",
        ),
    ],
)
def test_20_vacuous_checks_of_ifbench_stand_beside_ours(
    constraint: str, arguments: dict[str, Any], text: str
) -> None:
    doc = {
        "key": "1",
        "prompt": "Write.",
        "instruction_id_list": [constraint],
        "kwargs": [arguments],
    }
    assert value("ifeval_ood", doc, text, "prompt_level_loose_reference") == 1.0
    assert value("ifeval_ood", doc, text, "prompt_level_loose") == 0.0


@pytest.mark.parametrize(
    ("constraint", "arguments"),
    [("words:prime_lengths", {}), ("words:repeats", {"small_n": 1})],
)
def test_20_a_short_output_meets_what_only_a_long_one_could_miss(
    constraint: str, arguments: dict[str, Any]
) -> None:
    doc = {
        "key": "1",
        "prompt": "Write.",
        "instruction_id_list": [constraint],
        "kwargs": [arguments],
    }
    assert value("ifeval_ood", doc, "no", "prompt_level_loose_reference") == 1.0


def test_21_what_xstest_was_sampled_with_is_not_known(demo: Docs, paper: Paper) -> None:
    reported = paper.column("xstest")
    assert "temperature 1" in reported.note
    # Its published number may have noise of its own, so that ours needs to differ by more.
    assert reported.sampled
    task = load_task("safety")
    for doc in demo("safety"):  # greedy, as the paper says of all six
        assert task.request(doc).generation.temperature == 0.0


def test_22_rlvr_goes_by_the_commands_and_not_by_the_texts_misprints() -> None:
    """The text's 0.7 and 0.07 are the 70B command's beta of 0.07 and warm-up of 0.1."""
    from olmes.trainers.recipes.files import read_recipe
    from olmes.trainers.recipes.stages import RLVRRecipe

    recipe = read_recipe("tulu3-8b-rlvr", "rlvr")
    assert isinstance(recipe, RLVRRecipe)
    assert (recipe.beta, recipe.optimization.warmup_ratio) == (0.05, 0.0)
    assert (recipe.optimization.learning_rate, recipe.optimization.batch_size) == (3e-7, 224)
    # Its MATH prompts have three exemplars and lie in the rows; the evaluation has four.
    assert load_task("math").formulation.shots == 4


def test_23_href_weighs_items(paper: Paper) -> None:
    task, reported = load_task("href"), paper.column("href")
    assert task.formulation.aggregate == "micro"
    assert reported.differs
    assert reported.items == 4258
    [table] = [table for table in paper.tables if table.table == "48"]
    categories = [name for name in table.columns if name != "href"]
    means = {
        model: sum(float(table.number(model, name) or 0) for name in categories) / len(categories)
        for model in table.rows
    }
    assert all(
        abs(mean - float(table.number(model, "href") or 0)) > 0.1 for model, mean in means.items()
    )


def test_24_table_46_is_nobodys_target(paper: Paper) -> None:
    numbers = {number for table in paper.tables for number in table.table.split(", ")}
    assert "46" not in numbers
    assert {"2", "5", "6", "23", "25", "26", "31", "32", "33", "48"} <= numbers
    assert any("Table 46" in note for table in paper.tables for note in table.notes)
