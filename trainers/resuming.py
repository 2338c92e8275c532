"""Whether a folder holds the training that is asked for: what is compared when one is resumed.

`recipe.json` says what a training began with: the recipe, and the content of the model, the template,
the data and the verifiers. A folder is claimed by a complete checkpoint or a finished stage; a start
that left neither claims nothing, and is replaced. `trainers/recipes/identity.py` says what of a
recipe is compared.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.tools.hashing import content_hash
from olmes.tools.jsonl import write_atomically
from olmes.trainers.data.compared import counts, same_sources, what_differs
from olmes.trainers.data.mixture import Mixture, load_mixture
from olmes.trainers.recipes.identity import recipe_hash, settings, sources, template_files, to_json
from olmes.trainers.recipes.stages import Recipe, RLVRRecipe
from olmes.trainers.rewards.contents import changed_files, verifier_contents
from olmes.trainers.started import (
    INSTEAD,
    RECIPE,
    Json,
    Started,
    as_it_began,
    check_states,
    holds,
    micro_batches,
    started,
)
from olmes.trainers.starting_model import fingerprint, model_folder
from olmes.trainers.templates.pairs import ChatTemplate

FILES = (".jsonl", ".jsonl.gz", ".parquet")
"""Endings of a source of data that is a file."""


def check_folder(recipe: Recipe, out: Path, say: Callable[[str], None] = lambda _: None) -> None:
    """Refuse to resume a training of another recipe, before anything is loaded.

    Raises:
        OlmesError: `out` holds one; the message names a key that differs.
    """
    before = started(out)
    if before is None:
        if holds(out):
            raise OlmesError(
                f"{out} holds checkpoints but no {RECIPE}, so that nobody knows what they were "
                f"trained on; {INSTEAD}."
            )
        return
    differing = differences(settings(before.recipe), settings(as_it_began(recipe, out)))
    if not differing:
        return
    if not holds(out):
        say(f"{out} holds a start of another recipe that left no checkpoint; it is replaced")
        return
    more = f", and {len(differing) - 1} more" if len(differing) > 1 else ""
    raise OlmesError(
        f"{out} holds a training of another recipe ({differing[0]}{more}); put that back, {INSTEAD}."
    )


def differences(then: Json, now: Json) -> list[str]:
    """The settings in which two recipes are different trainings, each with both values."""
    return [
        f"'{key}' differs: {shown(then.get(key))} then, {shown(now.get(key))} now"
        for key in dict.fromkeys((*now, *then))
        if then.get(key) != now.get(key)
    ]


def shown(value: Any) -> str:
    """A setting as one writes it."""
    return "none" if value is None else json.dumps(value, ensure_ascii=False)


def check_start(out: Path, model: str) -> None:
    """Refuse to resume a training that began from another model.

    Raises:
        OlmesError: it did.
    """
    before = started(out)
    if before is not None and before.model != model and holds(out):
        raise OlmesError(
            f"{out} holds a training that began from another model; put that one back, {INSTEAD}."
        )


def contents_of(recipe: Recipe, template: ChatTemplate, mixture: Mixture, precision: str) -> Json:
    """What a training is made of beside its settings, its model and its rows.

    Args:
        recipe: of the training.
        template: the one in use.
        mixture: its rows, which name verifiers.
        precision: "float32" or "bfloat16": what the recipe's comes to on this machine.
    """
    marks = template.training if recipe.stage == "sft" else ""
    found: dict[str, Any] = {
        "sources": sources(recipe),
        "template": content_hash([template.plain, marks]),
        "template_files": template_files(recipe),
        "precision": precision,
        "micro_batches": micro_batches(recipe),
    }
    if isinstance(recipe, RLVRRecipe):
        functions = list(recipe.reward_functions)
        found["verifiers"] = verifier_contents(
            mixture.rows["verifiers"], folders_of(recipe), named=functions
        )
        value = recipe.ppo.value if recipe.algorithm == "ppo" else None
        found["value"] = fingerprint(model_folder(value)) if value else None
    return found


def folders_of(recipe: Recipe) -> list[Path]:
    """The folders of a mixture's files, from which the files of its verifiers are named."""
    files = [Path(name).expanduser() for name in recipe.data]
    return [file.parent.resolve() for file in files if file.is_file()]


def claim(
    recipe: Recipe, out: Path, model: str, template: ChatTemplate, mixture: Mixture, *,
    validation: Mixture | None, precision: str, say: Callable[[str], None],
) -> tuple[str, int]:  # fmt: skip
    """Write `recipe.json`, unless the folder holds a training on something else.

    Returns:
        The recipe's hash, and the micro-batches of an update when the training began.

    Raises:
        OlmesError: the data, the template, a verifier, the value model or the precision is another.
    """
    now = contents_of(recipe, template, mixture, precision)
    before = started(out)
    count, earlier = micro_batches(recipe), False
    if before is not None and holds(out):
        check_data(before, recipe, mixture, out, say)
        if before.contents is not None:
            check_contents(before.contents, now, out)
        count, earlier = before.micro_batches, before.earlier
    check_states(recipe, out)
    named = recipe_hash(recipe)
    stored = {
        "hash": named, "recipe": to_json(recipe), "data": mixture.to_json(), "model": model,
        "contents": {**now, "micro_batches": count}, "earlier": earlier,
        "validation": validation.to_json() if validation else None,
    }  # fmt: skip
    text = json.dumps(stored, indent=1, ensure_ascii=False)
    write_atomically(out / RECIPE, text + "\n")
    return named, count


def check_contents(then: Json, now: Json, out: Path) -> None:
    """Refuse what a training did not begin with.

    Raises:
        OlmesError: template, verifiers, value model or precision is another.
    """
    if changed := changed_files(then.get("verifiers") or {}, now.get("verifiers") or {}):
        raise OlmesError(
            f"{out} holds a training that another verifier rewarded: {changed[0]} has changed; put "
            f"it back, {INSTEAD}."
        )
    if then["precision"] != now["precision"]:
        raise OlmesError(
            f"{out} holds a training in {then['precision']}, which would be resumed in "
            f'{now["precision"]}; set hardware.precision = "{then["precision"]}", {INSTEAD}.'
        )
    for name, words in (("template", "chat template"), ("value", "value model")):
        if then.get(name) != now.get(name):
            raise OlmesError(
                f"{out} holds a training with another {words}; put that one back, {INSTEAD}."
            )


def check_data(
    before: Started, recipe: Recipe, mixture: Mixture, out: Path, say: Callable[[str], None]
) -> None:
    """Refuse rows that a training did not begin with.

    Raises:
        OlmesError: they are others; the message says which source gave how many then and now.
    """
    now = mixture.to_json()
    if now["hash"] == before.data["hash"]:
        return
    then_parts, now_parts = before.data["parts"], now["parts"]
    same_counts = [counts(part) for part in then_parts] == [counts(part) for part in now_parts]
    if same_counts and before.contents is None:
        say(
            "the rows are as many as before; this folder is too old to tell whether they are the same"
        )
        return
    kept = before.contents["sources"] if before.contents is not None else []
    if same_counts and same_sources(kept, sources(recipe), then_parts, now_parts):
        return
    raise OlmesError(
        f"{out} holds a training on other data: {what_differs(then_parts, now_parts)}; put the data "
        f"back, {INSTEAD}."
    )


def check_finished(recipe: Recipe, out: Path, *, model: bool = True) -> None:
    """Refuse to take a stage for done that was done from something else.

    What is gone since (the data, the model) is not asked for, and of hub data sets only their names.

    Args:
        recipe: what is asked for.
        out: the stage's folder.
        model: whether the recipe names the model that the stage began from.

    Raises:
        OlmesError: the recipe, or a file behind it, is another.
    """
    check_folder(recipe, out)
    before = started(out)
    if before is None:
        return
    local = Path(recipe.model).expanduser()
    if model and (local / "config.json").is_file():
        check_start(out, fingerprint(local))
    if before.contents is None:
        return
    then, now = before.contents["sources"], sources(recipe)
    gone = any(source.get("named", "").endswith(FILES) for source in now)
    if then != now and not gone:
        check_data(before, recipe, load_mixture(recipe, say=lambda _: None), out, lambda _: None)
    own = recipe.template.endswith(".jinja") and Path(recipe.template).is_file()
    if own and before.contents["template_files"] != template_files(recipe):
        raise OlmesError(
            f"{out} holds a training with another chat template; put that one back, {INSTEAD}."
        )
    if changed := changed_files(before.contents.get("verifiers") or {}, None, folders_of(recipe)):
        raise OlmesError(
            f"{out} holds a training that another verifier rewarded: {changed[0]} has changed; put "
            f"it back, {INSTEAD}."
        )
