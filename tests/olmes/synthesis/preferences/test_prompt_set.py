"""Which prompts are taken, and who answers them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from olmes.errors import OlmesError
from olmes.rows.asked import asked
from olmes.synthesis.preferences.prompt_set import read_prompts, writers
from olmes.synthesis.preferences.recipe import (
    PreferencesRecipe,
    PromptData,
    RecipeJudge,
    read_preferences_recipe,
)
from olmes.synthesis.recipe import RecipeModel


def data_of(folder: Path, rows: list[object], limit: int | None = None) -> PromptData:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return PromptData(source=str(path), limit=limit)


def recipe_of(
    data: PromptData, pool: int, share: float | None, responses: int = 4
) -> PreferencesRecipe:
    return PreferencesRecipe(
        data=data,
        responses=responses,
        pool={f"m{at}": RecipeModel(model="smollm2") for at in range(pool)},
        on_policy=None if share is None else RecipeModel(model="smollm2"),
        on_policy_share=share,
        judges={"j": RecipeJudge(model="smollm2")},
    )


def test_prompts_are_taken_once_and_what_asks_nothing_is_counted(tmp_path: Path) -> None:
    rows: list[object] = [
        {"prompt": "One?"}, {"messages": [{"role": "user", "content": "One?"}]}, {"text": ""},
        {"messages": [{"role": "assistant", "content": "Hello."}]}, ["no", "row"],
        {"instruction": "Add.", "input": "1 2"},
    ]  # fmt: skip
    found = read_prompts(data_of(tmp_path, rows), 0)
    assert [p.turns[0]["content"] for p in found.prompts] == ["One?", "Add.\n\n1 2"]
    assert [p.row for p in found.prompts] == [1, 6]
    assert found.counts == {"rows": 6, "duplicates": 1, "not asked": 3, "prompts": 2}
    with pytest.raises(OlmesError, match="asks anything"):
        read_prompts(data_of(tmp_path, [{"text": ""}]), 0)


def test_the_limit_draws_the_same_prompts_wherever_they_stand(tmp_path: Path) -> None:
    rows: list[object] = [{"prompt": f"Question {at}?"} for at in range(100)]
    first = read_prompts(data_of(tmp_path, rows, limit=20), 7)
    turned = read_prompts(data_of(tmp_path, rows[::-1], limit=20), 7)
    other = read_prompts(data_of(tmp_path, rows, limit=20), 8)
    assert {p.id for p in first.prompts} == {p.id for p in turned.prompts}
    assert len(first.prompts) == 20
    assert {p.id for p in first.prompts} != {p.id for p in other.prompts}


@pytest.mark.parametrize(("share", "own"), [(0.0, 0), (0.25, 10), (0.5, 20), (1.0, 40), (None, 0)])
def test_the_on_policy_share_is_exact(tmp_path: Path, share: float | None, own: int) -> None:
    recipe = recipe_of(data_of(tmp_path, [{"prompt": f"{at}?"} for at in range(40)]), 6, share)
    drawn = writers(recipe, read_prompts(recipe.data, 0).prompts)
    assert len(drawn) == 40
    assert sum(any(w.model == "on_policy" for w in one) for one in drawn.values()) == own
    for one in drawn.values():
        names = Counter(writer.model for writer in one)
        assert len(one) == 4
        assert max(names.values()) == 1
    counts = Counter(w.model for one in drawn.values() for w in one if w.model != "on_policy")
    assert len(counts) == 6
    assert all(0.5 * (160 - own) / 6 < n < 1.6 * (160 - own) / 6 for n in counts.values())


def test_a_small_pool_answers_several_times(tmp_path: Path) -> None:
    recipe = recipe_of(data_of(tmp_path, [{"prompt": "?"}]), 2, None, responses=5)
    [drawn] = writers(recipe, read_prompts(recipe.data, 0).prompts).values()
    assert len({(writer.model, writer.repeat) for writer in drawn}) == 5
    assert sorted(Counter(writer.model for writer in drawn).values()) == [2, 3]
    alone = recipe_of(recipe.data, 0, 1.0)
    [drawn] = writers(alone, read_prompts(recipe.data, 0).prompts).values()
    assert [(w.model, w.repeat) for w in drawn] == [("on_policy", at) for at in range(4)]


def test_a_chat_is_asked_up_to_its_last_question() -> None:
    chat = [
        {"from": "system", "value": "Be brief."}, {"from": "human", "value": "Hi."},
        {"from": "gpt", "value": "Hi."}, {"from": "human", "value": "Lake?"},
        {"from": "gpt", "value": "Van."},
    ]  # fmt: skip
    assert [turn["role"] for turn in asked({"conversations": chat})] == [
        "system", "user", "assistant", "user",
    ]  # fmt: skip
    assert asked({"messages": [{"role": "tool", "content": "x"}]}) == ()
    assert [t["role"] for t in asked({"question": "?", "system": "Be brief."})] == [
        "system",
        "user",
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('data.source=""', "names no prompts"),
        ('aspects=["charm"]', "'charm'"),
        ("aspects=[]", "one aspect or more"),
        ('aspects=["honesty", "honesty"]', "each once"),
        ("responses=1", "'responses' is 1"),
        ("on_policy_share=1.5", "'on_policy_share' is 1.5"),
        ("on_policy_share=0.5", "write [on_policy]"),
        ("judges.one.model=''", "'judges.one' names no model"),
        ("pool.a.temprature=1", "unknown key 'pool.a.temprature'"),
        ("budget.money=1", "has no price"),
    ],
)
def test_what_a_recipe_gets_wrong_is_told_at_once(tmp_path: Path, change: str, said: str) -> None:
    data_of(tmp_path, [{"prompt": "?"}])
    path = tmp_path / "r.toml"
    path.write_text(
        'data.source = "rows.jsonl"\n[pool.a]\nmodel = "smollm2"\n[judges.one]\nmodel = "smollm2"\n'
    )
    key, _, value = change.partition("=")
    assert read_preferences_recipe(path).data.source == str(tmp_path / "rows.jsonl")
    with pytest.raises(OlmesError, match=".") as caught:
        read_preferences_recipe(path, {key: value})
    assert said in str(caught.value)
