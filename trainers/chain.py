"""Stages in a row, from one file: each begins where the one before it ended.

A reward model is beside the row: it begins where SFT ended, and PPO's value model begins as it.

    name = "demo"
    model = "smollm2"                 # keys of every recipe hold for all stages
    [scoring]
    suite = "dev"
    [sft]                             # what differs; `recipe = "NAME"` takes a recipe as the base
    recipe = "small-sft"
    [dpo]
    recipe = "small-dpo"
    [unseen]                          # once, at the end
    suite = "unseen"
    reason = "end of the demo"

The same command again resumes at the stage and step where it stopped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from olmes.errors import OlmesError
from olmes.tools import jsonl
from olmes.tools import toml_tables as tables
from olmes.tools.toml_tables import PositiveInt, TomlTable, TomlValue
from olmes.trainers.gating import check_gate, gate_last
from olmes.trainers.recipes.files import find_recipe, make_recipe, near
from olmes.trainers.recipes.stages import CHAINED, Recipe, RLVRRecipe, Stage
from olmes.trainers.recipes.tables import Scoring
from olmes.trainers.stage import Say, finished, say_aloud
from olmes.trainers.starting_model import model_folder
from olmes.trainers.together.launch import launch
from olmes.trainers.together.processes import launched, together, told
from olmes.trainers.train import check_installed, send_late_scores, train
from olmes.trainers.training_page import (
    PAGE,
    START,
    UNSEEN,
    StagePlace,
    note_chain,
    page_line,
    write_training_page,
)

if TYPE_CHECKING:
    from olmes.records.record import Record
    from olmes.seal.look import Look

STORE = "runs"
OWN = ("name", "unseen", "baseline", *CHAINED)


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """The held-out suite that the last model is put to, once."""

    suite: str = "unseen"
    reason: str = ""
    """Why it is looked at; kept in the ledger."""
    limit: PositiveInt | None = None
    data: str | tuple[str, ...] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """The suite."""
        return self.suite


@dataclass(frozen=True, kw_only=True)
class Chain:
    """A chain as its file describes it."""

    name: str
    stages: tuple[Recipe, ...]
    """In order; the model of each but the first is the last state of the one before."""
    baseline: bool
    """Whether the model that the chain starts from is scored too."""
    unseen: Unseen | None


def read_chain(name: str | Path, settings: Mapping[str, str] | None = None) -> Chain:
    """The chain of a TOML file, or of a bundled one by its name.

    Args:
        name: path or name.
        settings: `--set` pairs by dotted key: `sft.optimization.max_steps=2`.

    Raises:
        OlmesError: the file is missing, has no stage, or one of its tables has a fault.
    """
    path = find_recipe(str(name))
    table = tables.override(tables.read_toml(path), settings or {})
    named = [stage for stage in CHAINED if stage in table]
    if not named:
        raise OlmesError(f"{path} describes no chain; add [sft], [dpo] or [rlvr].")
    if named == ["reward"]:
        raise OlmesError(f"{path} has a reward model alone; run it with 'olmes train reward'.")
    shared = {key: value for key, value in table.items() if key not in OWN}
    stages = tuple(stage_recipe(stage, table[stage], shared, path) for stage in named)
    check_reward(stages, path)
    unseen = None
    if "unseen" in table:
        unseen = tables.convert(table["unseen"], Unseen, None, str(path), "unseen")
        if not unseen.reason.strip():
            raise OlmesError(
                f"{path}: 'unseen.reason' is missing; say why held-out tasks are looked at."
            )
        unseen = dataclasses.replace(unseen, suite=near(path.parent, unseen.suite))
    baseline = table.get("baseline", True)
    if not isinstance(baseline, bool):
        raise OlmesError(f"{path}: 'baseline' must be true or false, not {baseline!r}.")
    return Chain(
        name=str(table.get("name", path.stem)), stages=stages, baseline=baseline, unseen=unseen
    )


def stage_recipe(stage: Stage, given: TomlValue, shared: TomlTable, path: Path) -> Recipe:
    """One stage: its base recipe, under the keys for all stages, under its own.

    Raises:
        OlmesError: a table has a fault.
    """
    if not isinstance(given, Mapping):
        raise OlmesError(f"{path}: '{stage}' must be a table, not {given!r}; write [{stage}].")
    own = {key: value for key, value in given.items() if key != "recipe"}
    base: TomlTable = {}
    if stage == "reward":  # which no suite can score
        shared = {key: value for key, value in shared.items() if key not in ("scoring", "gate")}
    if "recipe" in given:
        base_path = find_recipe(near(path.parent, str(given["recipe"])))
        base = tables.read_toml(base_path)
        meant = base.pop("stage", stage)
        if meant != stage:
            raise OlmesError(f"{path}: '{stage}.recipe' is a recipe for {meant}; name another.")
        base.pop("name", None)
        data = base.get("data")
        if isinstance(data, dict) and "data" not in own:
            # Data files of a base lie in the base's folder.
            base["data"] = {near(base_path.parent, name): size for name, size in data.items()}
    if "data" in own:
        base.pop("data", None)  # a mixture is replaced whole: what is left out is left out
    merged = merge(merge(base, shared), own)
    return make_recipe(stage, {"name": stage, **merged}, str(path))


def check_reward(stages: tuple[Recipe, ...], path: Path) -> None:
    """Refuse a reward model that nothing would be made of.

    Raises:
        OlmesError: RLVR is by GRPO, which has no value model, or names another.
    """
    reward = any(recipe.stage == "reward" for recipe in stages)
    for recipe in stages:
        if not reward or not isinstance(recipe, RLVRRecipe):
            continue
        if recipe.algorithm != "ppo":
            raise OlmesError(
                f"{path}: [reward] is for the value model of PPO, and GRPO has none; remove it, or set "
                'algorithm = "ppo" in [rlvr].'
            )
        if recipe.ppo.value is not None:
            raise OlmesError(
                f"{path}: 'ppo.value' names a reward model beside the one of [reward]; remove one."
            )


def merge(below: TomlTable, above: TomlTable) -> TomlTable:
    """Tables with those above taking precedence, key by key."""
    merged = dict(below)
    for key, value in above.items():
        inner = merged.get(key)
        if isinstance(value, dict) and isinstance(inner, dict):
            value = merge(inner, value)
        merged[key] = value
    return merged


def run_chain(
    chain: Chain, out: Path, *, arguments: tuple[str, ...] = (), say: Say = say_aloud
) -> Path:
    """Train every stage that is not done, look at the unseen suite once, write the page.

    Args:
        chain: what is trained.
        out: the chain's folder: one folder a stage, the records in `runs/`, `training.html`.
        arguments: the command's own, with which stages in several processes are launched.
        say: gets a line for everything a user should know.

    Returns:
        The page, or the last model where no page can be written.

    Raises:
        OlmesError: as `train`.
    """
    check_installed()
    check_names(chain)
    check_gate(policies(chain)[-1], out / START if chain.baseline else None)
    with together(chain.stages[0].hardware.wait_minutes):
        if chain.baseline:
            told("the scores of the model to start from", lambda: score_start(chain, out, say))
        model: Path | None = None
        for recipe in chain.stages:
            ended = run_stage(chain, recipe.stage, out, arguments=arguments, say=say)
            model = model if recipe.stage == "reward" else ended
        last = model
        assert last is not None
        if chain.unseen is not None:
            told("the look at the unseen suite", lambda: look_once(chain, last, out, say))
        line = page_line(lambda: write_training_page(chain.name, places_of(chain, out), out))
    say(f"the chain is done: {last}{line}")
    page = out / PAGE
    return page if page.is_file() else last


def places_of(chain: Chain, out: Path) -> list[StagePlace]:
    """Where the stages and their records lie."""
    return [
        StagePlace(
            stage=one.stage, folder=out / one.stage, store=Path(one.scoring.out or out / STORE)
        )
        for one in chain.stages
    ]


def gate_chain(chain: Chain, out: Path, *, say: Say = say_aloud) -> int:
    """Gate the last stage's last checkpoint by its [gate]; the exit status of `olmes gate`.

    Raises:
        OlmesError: as `gate_last`.
    """
    last = policies(chain)[-1]
    store = Path(last.scoring.out or out / STORE)
    return gate_last(last, out / last.stage, store, out / START, say)


def policies(chain: Chain) -> list[Recipe]:
    """The stages that train a model which writes, in order."""
    return [recipe for recipe in chain.stages if recipe.stage != "reward"]


def check_names(chain: Chain) -> None:
    """Refuse at once what the last stage or the look would refuse.

    Raises:
        OlmesError: there is no such suite, or a stage's [trl] table has a fault.
    """
    from olmes.runs.planning import tasks_of
    from olmes.trainers.on_trl.table import check_table

    scored = [recipe.scoring.target for recipe in chain.stages]
    for target in (*scored, chain.unseen.target if chain.unseen else ""):
        if target:
            tasks_of(target)
    for recipe in chain.stages:
        check_table(recipe)


def run_stage(
    chain: Chain, stage: Stage, out: Path, *, arguments: tuple[str, ...] = (), say: Say = say_aloud
) -> Path:
    """Train one stage, in as many processes as it wants, and return its last state.

    Raises:
        OlmesError: there is no such stage, the one before it is not done, or as `train`.
    """
    stages = {recipe.stage: recipe for recipe in chain.stages}
    if stage not in stages:
        raise OlmesError(f"the chain {chain.name} has no {stage}; it has {', '.join(stages)}.")
    recipe = stages[stage]
    scoring = dataclasses.replace(recipe.scoring, out=recipe.scoring.out or str(out / STORE))
    recipe = dataclasses.replace(recipe, scoring=scoring)
    if before := stage_before(chain, stage):
        recipe = dataclasses.replace(recipe, model=str(last_state(chain, before, out)))
    if isinstance(recipe, RLVRRecipe) and "reward" in stages:
        value = str(last_state(chain, stages["reward"], out))
        recipe = dataclasses.replace(recipe, ppo=dataclasses.replace(recipe.ppo, value=value))
    folder = out / stage
    done = told("whether the stage is done", lambda: finished(recipe, folder))
    if done is not None:
        say(f"{stage} is done")
        return done
    note_chain(chain.name, places_of(chain, out), out)
    if recipe.hardware.processes > 1 and not launched():
        launch(recipe, [*arguments, "--only", stage], say=say)
        send_late_scores(recipe, folder, say)
        done = finished(recipe, folder)
        assert done is not None
        return done
    return train(recipe, folder, say=say)


def stage_before(chain: Chain, stage: Stage) -> Recipe | None:
    """The stage whose last state one begins from; None for the model that the chain starts from.

    Tülu 3's reward model began from its SFT model, and not from the one after DPO.
    """
    before = None
    for recipe in chain.stages:
        if recipe.stage == stage or (stage == "reward" and recipe.stage != "sft"):
            return before
        if recipe.stage != "reward":
            before = recipe
    return before


def last_state(chain: Chain, before: Recipe, out: Path) -> Path:
    """The last state of a stage of a chain.

    Raises:
        OlmesError: the stage is not done.
    """
    # What it began from itself, a stage before it, its recipe does not name.
    named = stage_before(chain, before.stage) is None
    found = told("the stage before", lambda: finished(before, out / before.stage, model=named))
    if found is None:
        raise OlmesError(f"{before.stage} is not done yet; run the chain without --only.")
    return found


def score_start(chain: Chain, out: Path, say: Say) -> None:
    """Score the model that the chain starts from, once."""
    first = policies(chain)[0]
    marker = out / START
    if not first.scoring.target or marker.is_file():
        return
    say("scoring the model to start from ...")
    record = evaluated(first.scoring, model_folder(first.model), out)
    jsonl.write_atomically(marker, jsonl.dumps({"record": str(record.folder.resolve())}) + "\n")


def evaluated(scored: Scoring | Unseen, model: Path, out: Path, look: Look | None = None) -> Record:
    """A record of a model on what a recipe or a chain names, in the chain's store."""
    from olmes.api import evaluate

    own_store = scored.out if isinstance(scored, Scoring) else ""
    return evaluate(
        scored.target,
        model=str(model),
        limit=scored.limit,
        data=scored.data,
        settings=scored.settings,
        out=own_store or out / STORE,
        look=look,
    )


def look_once(chain: Chain, model: Path, out: Path, say: Say) -> None:
    """Put the last model to the held-out suite, unless that was done."""
    from olmes.seal.look import Look

    marker = out / UNSEEN
    if marker.is_file():
        say("the unseen suite was looked at already; it is not looked at again")
        return
    assert chain.unseen is not None
    say(f"the unseen suite, once: {chain.unseen.reason}")
    look = Look(
        reason=chain.unseen.reason,
        asked_by="hook",
        final=True,
        family=chain.name,
    )
    record = evaluated(chain.unseen, model, out, look)
    jsonl.write_atomically(marker, jsonl.dumps({"record": str(record.folder.resolve())}) + "\n")
