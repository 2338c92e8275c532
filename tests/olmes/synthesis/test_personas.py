"""`olmes synth personas` end to end: verified by construction, killed and resumed, within a budget."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from olmes.benchmark.registry import load_task
from olmes.errors import OlmesError
from olmes.synthesis.cleaning import Cleaning
from olmes.synthesis.near_duplicates import jaccard, shingles
from olmes.synthesis.persona_recipe import PersonaRecipe
from olmes.synthesis.recipe import Decontamination, read_recipe
from olmes.synthesis.synthesize import Made, synthesize
from olmes.types import Response
from tests.olmes.conftest import EchoBench
from tests.olmes.synthesis.scripted_author import Author

SIZES = {
    "if.instructions": "30",
    "generator.begin": "false",
    "if.most": "3",
    "if.responses": "1",
    "decontamination.against": "[]",
    "math.instructions": "8",
    "code.instructions": "8",
    "code.solutions": "2",
    "code.tests": "true",
}


def recipe_of(model: str, **changes: str) -> PersonaRecipe:
    pairs = {"generator.model": model, **SIZES, **changes}
    return read_recipe("demo-personas", "personas", PersonaRecipe(), pairs)


@pytest.fixture(scope="module")
def author() -> Iterator[Author]:
    found = Author(recipe_of("unused"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def made(author: Author, tmp_path_factory: pytest.TempPathFactory, bubblewrap_program: str) -> Made:
    folder = tmp_path_factory.mktemp("synth")
    return synthesize(
        recipe_of(author.model), folder / "out", store=folder / "runs", say=print, use_cache=False
    )


def rows_in(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def step(made: Made, kind: str, name: str) -> dict[str, Any]:
    [found] = [one for one in made.steps.to_json() if (one["kind"], one["step"]) == (kind, name)]
    return found


def test_every_kept_constraint_item_passes_its_verifier(made: Made) -> None:
    rows = [row for row in rows_in(made.folder / "rows.jsonl") if row["kind"] == "if"]
    assert len(rows) > 8
    kinds = set()
    for row in rows:
        [verifier] = row["verifiers"]
        task = load_task(verifier["task"])
        assert verifier["doc"]["prompt"] == row["messages"][0]["content"]
        verdict = task.score(verifier["doc"], Response(text=row["messages"][1]["content"]))
        assert verdict.values["prompt_level_strict"] == 1
        assert verdict.values["prompt_level_strict_stated"] == 1
        assert 1 <= len(row["constraints"]) <= 3
        kinds |= {one["id"] for one in row["constraints"]}
    assert len(kinds) >= 10
    answered = step(made, "if", "verified answer")
    assert answered["kept"] == len(rows)
    assert answered["reasons"] == {"a constraint is not met": answered["came"] - len(rows)}
    assert step(made, "if", "instruction")["reasons"]["not in the form that was asked for"] > 0


def test_a_pairs_rejected_answer_breaks_what_was_relaxed(made: Made) -> None:
    pairs = rows_in(made.folder / "preferences.jsonl")
    chosen = {row["id"]: row for row in rows_in(made.folder / "rows.jsonl")}
    assert len(pairs) > 4
    for pair in pairs:
        row = chosen[pair["id"]]
        assert (pair["prompt"], pair["chosen"]) == tuple(m["content"] for m in row["messages"])
        [verifier] = row["verifiers"]
        verdict = load_task(verifier["task"]).score(
            verifier["doc"], Response(text=pair["rejected"])
        )
        [part] = [one for one in verdict.parts if one["id"] == pair["relaxed_constraint"]][:1]
        assert not part["strict"]
        assert not part["loose"]
        assert not part["stated"]


def test_math_is_what_most_solutions_say_and_code_passes_its_tests(made: Made) -> None:
    rows = rows_in(made.folder / "rows.jsonl")
    math = [row for row in rows if row["kind"] == "math"]
    code = [row for row in rows if row["kind"] == "code"]
    assert math
    assert code
    for row in math:
        [verifier] = row["verifiers"]
        response = Response(text=row["messages"][1]["content"])
        verdict = load_task(verifier["task"]).score(verifier["doc"], response)
        assert verdict.values["exact_match_flex"] == 1
        assert row["agreement"] >= 0.5
    for row in code:
        assert row["tests"] == "assert double(2) == 4\nassert double(0) == 0"
        assert "x * 2" in row["messages"][1]["content"]


def test_fewer_than_one_in_a_hundred_are_near_duplicates(made: Made) -> None:
    prompts = [row["messages"][0]["content"] for row in rows_in(made.folder / "rows.jsonl")]
    sets = [shingles(prompt, 3) for prompt in prompts]
    like = {
        place
        for (one, first), (place, second) in combinations(enumerate(sets), 2)
        if jaccard(first, second) >= 0.7
    }
    assert len(like) < 0.01 * len(prompts)


@pytest.mark.parametrize("stage", ["sft", "rlvr", "dpo", "reward"])
def test_the_rows_are_read_by_every_training(made: Made, stage: Any) -> None:
    from olmes.trainers.data.training_rows import READERS

    file = "preferences.jsonl" if stage in ("dpo", "reward") else "rows.jsonl"
    rows = rows_in(made.folder / file)
    read = [READERS[stage](row, made.folder) for row in rows]
    assert len(read) == len(rows) > 0


def test_the_card_says_what_was_kept_and_by_whom(made: Made) -> None:
    card = json.loads((made.folder / "card.json").read_text("utf-8"))
    assert card["rows"] == len(made.rows)
    assert card["steps"] == made.steps.to_json()
    assert card["models"]["instructions"]["fingerprint"]
    assert set(card["prompts"]) >= {"if-instruction", "math-solution", "code-tests"}
    assert card["personas"]["count"] >= 300
    page = (made.folder / "card.html").read_text("utf-8")
    assert "Kept at each step" in page
    assert "Kept at each step" in (made.folder / "card.md").read_text("utf-8")


def test_the_same_responses_make_the_same_bytes_and_nothing_is_asked_twice(
    made: Made, author: Author, tmp_path: Path
) -> None:
    shutil.copytree(made.folder, tmp_path / "out")
    before = sum(author.asked.values())
    again = synthesize(
        recipe_of(author.model), tmp_path / "out", store=tmp_path, say=print, use_cache=False
    )
    assert sum(author.asked.values()) == before
    assert set(author.asked.values()) == {1}
    assert again.steps.to_json() == made.steps.to_json()
    for name in ("rows.jsonl", "preferences.jsonl", "card.json", "card.md", "card.html"):
        assert (tmp_path / "out" / name).read_bytes() == (made.folder / name).read_bytes()


def test_a_used_up_budget_keeps_what_is_finished_and_says_how_to_go_on(
    author: Author, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("olmes.synthesis.synthesize.AT_ONCE", 10)  # two rounds
    few = {"code.instructions": "0", "math.instructions": "0", "if.instructions": "20"}

    def run(tokens: int) -> Made:
        recipe = recipe_of(author.model, **few, **{"budget.tokens": str(tokens)})
        return synthesize(recipe, tmp_path / "out", store=tmp_path, say=print, use_cache=False)

    stopped = run(3000)
    assert len(stopped.rows) > 0
    assert "the budget of 3,000 tokens is used up" in stopped.troubles[-1]
    assert stopped.cost
    assert stopped.cost.prefill_tokens + stopped.cost.decode_tokens <= 3000
    assert rows_in(tmp_path / "out/rows.jsonl") == stopped.rows
    whole = run(500_000)
    assert whole.troubles == []
    assert len(whole.rows) > len(stopped.rows)


def test_prompts_that_overlap_are_out_and_held_out_items_are_only_counted(
    echo: EchoBench, tmp_path: Path
) -> None:
    question = "which word of the nine that stand here in a row is the last"
    (echo.data / "echo/test.jsonl").write_text(json.dumps({"word": question}) + "\n", "utf-8")
    suite = tmp_path / "closed.toml"
    suite.write_text(f'name = "closed"\nheld_out = true\ntasks = ["{echo.task}"]\n', "utf-8")
    rows = tmp_path / "rows.jsonl"
    turns = [{"role": "user", "content": f"Say: {question}."}]
    rows.write_text(json.dumps({"messages": turns}) + "\n", "utf-8")
    for name, kept in ((str(echo.task), [1]), (str(suite), [0, 1])):
        table = Decontamination(against=(name,), data=str(echo.data))
        cleaning = Cleaning(table, tmp_path / "runs", say=print)
        assert cleaning.keep([turns[0]["content"], "Something else."]) == kept
        [found] = cleaning.found(rows)["against"]
        assert (found["overlapped"], found["removed_prompts"]) == (1, 1 if kept == [1] else None)
    [line] = (tmp_path / "runs/ledger.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line)["event"] == "overlap-counted"
    assert question not in line


def test_a_recipe_that_does_not_fit_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    for changes, said in (
        ({"if.task": "gsm8k"}, "has no constraints that could be drawn"),
        ({"if.most": "1", "if.fewest": "2"}, "'if.most' is 1, less than 'if.fewest'"),
        ({"generator.model": ""}, "'generator' names no model"),
        ({"budget.money": "1"}, "'generator' has no price"),
        ({"personas": "away.txt"}, "does not exist"),
        ({"decontamination.against": '["nowhere"]'}, "nowhere"),
        (
            {"if.instructions": "0", "math.instructions": "0", "code.instructions": "0"},
            "nothing is",
        ),
        ({"if.kwargs": "1"}, "unknown key 'if.kwargs'"),
    ):
        with pytest.raises(OlmesError, match=said):
            synthesize(
                recipe_of(**{"model": "openai:m@http://127.0.0.1:9/v1", **changes}),
                tmp_path / "out", store=tmp_path, say=print,
            )  # fmt: skip
    assert not (tmp_path / "out/rows.jsonl").exists()
