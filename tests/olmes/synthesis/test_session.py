"""A session of a synthesis: nothing is asked twice, the budget is one, the card escapes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from olmes.benchmark.registry import load_task
from olmes.errors import OlmesError
from olmes.synthesis.card import Card, Section, rendered
from olmes.synthesis.prompts import Prompts
from olmes.synthesis.recipe import Budget, RecipeModel, SynthesisRecipe, read_recipe
from olmes.synthesis.session import Session
from olmes.types import Response
from tests.olmes.models.files.faulty_server import FaultyServer


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    found = FaultyServer()
    yield found
    found.close()


def asks(session: Session, table: RecipeModel, count: int) -> list[str]:
    model = session.load(table)
    found = session.ask(
        "words", model, [(str(n), model.request(f"say w{n}.", 0)) for n in range(count)]
    )
    return [response.text or f"! {response.error}" for response in found]


def said(server: FaultyServer) -> list[str]:
    return [body["messages"][-1]["content"] for body in server.asked if "messages" in body]


def test_a_session_asks_nothing_twice_and_asks_again_what_failed(
    tmp_path: Path, server: FaultyServer
) -> None:
    table = RecipeModel(model=f"openai:m@{server.url}", max_tokens=16)
    server.faults = lambda number, body: (
        "status 400" if body["messages"][-1]["content"] == "say w2." else ""
    )
    with Session(tmp_path, Budget(), say=print, use_cache=False) as session:
        first = asks(session, table, 4)
        [trouble] = session.troubles()
    assert first[:2] == ["w0", "w1"]
    assert first[2].startswith("! ")
    assert trouble.startswith("words: 1 requests failed")
    server.faults = lambda number, body: ""
    server.asked.clear()
    with Session(tmp_path, Budget(), say=print, use_cache=False) as session:
        assert asks(session, table, 5) == ["w0", "w1", "w2", "w3", "w4"]
        assert session.troubles() == []
        [described] = session.describe()
    assert sorted(text for text in said(server) if text.startswith("say")) == ["say w2.", "say w4."]
    assert described["completion_tokens"] == 5


def test_one_budget_over_models_stages_and_sessions(tmp_path: Path, server: FaultyServer) -> None:
    url = server.url
    tables = [
        RecipeModel(model=f"openai:m@{url}", max_tokens=16, input_price=2.0, output_price=10.0),
        RecipeModel(model=f"openai:m@{url}", max_tokens=17, batch_size=3),
    ]
    # Each answer costs 3 tokens, and may cost 2 + 16.
    with Session(tmp_path, Budget(tokens=60), say=print, use_cache=False) as session:
        found = asks(session, tables[0], 3)
        assert found == ["w0", "w1", "w2"]
        assert session.spending.tokens == 9
        assert session.spending.money == pytest.approx((6 * 2 + 3 * 10) / 1e6)
        more = asks(session, tables[1], 20)
        assert more[0] == "w0"
        assert "the budget of 60 tokens is used up" in more[-1]
        assert session.spending.tokens <= 60
        assert "--set budget.tokens=N" in session.troubles()[-1]
    with Session(tmp_path, Budget(tokens=1000), say=print, use_cache=False) as session:
        assert asks(session, tables[1], 20)[-1] == "w19"
        assert session.troubles() == []


def test_a_folder_is_one_sessions(tmp_path: Path) -> None:
    with (
        Session(tmp_path, Budget(), say=print, use_cache=False),
        pytest.raises(OlmesError, match="another process is writing"),
    ):
        Session(tmp_path, Budget(), say=print, use_cache=False)


def test_prompts_are_files_that_a_user_replaces(tmp_path: Path) -> None:
    name = next(iter(Prompts().files))
    own = tmp_path / f"{name}.txt"
    own.write_text("Say {x} and {y}, not {z}.\n")
    prompts = Prompts(str(tmp_path))
    assert prompts.filled(name, x="{y}", y="b") == "Say {y} and b, not {z}."
    assert prompts.hashes([name]) != Prompts().hashes([name])
    with pytest.raises(OlmesError, match=r"has no \{persona\}"):
        prompts.filled(name, persona="p")
    (tmp_path / "odd.txt").write_text("")
    with pytest.raises(OlmesError, match="is no prompt's name"):
        Prompts(str(tmp_path))
    with pytest.raises(OlmesError, match="there is no folder"):
        Prompts(str(tmp_path / "away"))


def test_a_recipe_says_what_it_is_for_and_where_its_files_lie(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('synthesis = "personas"\nseed = 3\nprompts = "own"\nbudget.tokens = 10\n')
    recipe = read_recipe(file, "personas", SynthesisRecipe())
    assert (recipe.name, recipe.seed, recipe.prompts) == ("mine", 3, str(tmp_path / "own"))
    other = read_recipe(file, "personas", SynthesisRecipe(), {"budget.tokens": "20"})
    assert (other.budget.tokens, other.hash) == (20, recipe.hash)
    with pytest.raises(OlmesError, match="run it with 'olmes synth personas"):
        read_recipe(file, "preferences", SynthesisRecipe())
    with pytest.raises(OlmesError, match=r"unknown key 'sead'; did you mean 'seed'\?"):
        read_recipe(file, "personas", SynthesisRecipe(), {"sead": "1"})
    with pytest.raises(OlmesError, match="there is no recipe 'nowhere'"):
        read_recipe("nowhere", "personas", SynthesisRecipe())


def test_a_card_shows_what_models_wrote_as_text() -> None:
    hostile = "<script>x</script> | `a` \x1b[31m\nnew"
    section = Section(title="T", text=(hostile,), columns=("a", "b"), rows=((hostile, 1234),))
    card = Card(title="C", summary="s", sections=(section,), data={})
    page = rendered("card.html.jinja", card)
    assert "<script>" not in page
    assert "1,234" in page
    table = [line for line in rendered("card.md.jinja", card).splitlines() if line.startswith("|")]
    assert len(table) == 3
    assert {line.replace(r"\|", "").count("|") for line in table} == {3}
    assert "\x1b" not in page + "".join(table)


def test_a_recipe_is_shown_as_it_is_resolved(capsys: pytest.CaptureFixture[str]) -> None:
    from olmes.cli import main

    with pytest.raises(SystemExit) as ended:
        main(["synth", "personas", "demo-personas", "--show", "--set", "if.instructions=3"])
    assert ended.value.code == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["constrained"]["instructions"] == 3
    assert shown["generator"]["model"] == "smollm2"
    with pytest.raises(SystemExit) as ended:
        main(["synth", "--help"])
    assert ended.value.code == 0
    assert "personas" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.model
def test_the_embedded_model_asks_and_answers(tmp_path: Path) -> None:
    from olmes.synthesis.persona_recipe import PersonaRecipe
    from olmes.synthesis.synthesize import synthesize

    few = {"if.instructions": "8", "math.instructions": "2", "decontamination.against": "[]"}
    recipe = read_recipe("demo-personas", "personas", PersonaRecipe(), few)
    made = synthesize(recipe, tmp_path / "out", store=tmp_path / "runs", say=print)
    assert made.troubles == []
    assert made.steps.to_json()[0]["came"] == 8
    for row in made.rows:
        [verifier] = row["verifiers"]
        verdict = load_task(verifier["task"]).score(
            verifier["doc"], Response(text=row["messages"][-1]["content"])
        )
        assert verdict.values[load_task(verifier["task"]).decisive] == 1
