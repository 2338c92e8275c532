"""The data card of rows that personas asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from olmes.synthesis.candidates import Kind, Workshop
from olmes.synthesis.card import Card, Section, share
from olmes.synthesis.cleaning import overlap_section
from olmes.synthesis.persona_recipe import PersonaRecipe
from olmes.synthesis.session import SynthesisModel
from olmes.tools.hashing import content_hash
from olmes.types import JsonObject

NO_LICENCE = (
    "none is given: the terms of the models that wrote the rows decide who may use them, and 'license' "
    "of the recipe says it here"
)


def persona_card(
    recipe: PersonaRecipe,
    workshop: Workshop,
    kinds: Sequence[Kind],
    overlap: JsonObject,
    rows: Sequence[JsonObject],
    pairs: Sequence[JsonObject],
    notes: Sequence[str],
) -> Card:
    """What is told of the rows; the same rows have the same card."""
    names = [name for kind in kinds for name in kind.prompt_names]
    constraints = Counter(one["id"] for row in rows for one in row.get("constraints", ()))
    models = [model_json(one) for one in (workshop.generator, workshop.responder)]
    data: JsonObject = {
        "name": recipe.name,
        "recipe_hash": recipe.hash,
        "seed": recipe.seed,
        "license": recipe.license,
        "rows": len(rows),
        "pairs": len(pairs),
        "rows_hash": content_hash(list(rows)),
        "pairs_hash": content_hash(list(pairs)),
        "kinds": dict(Counter(row["kind"] for row in rows)),
        "steps": workshop.steps.to_json(),
        "duplicates": {
            "jaccard": recipe.duplicates.jaccard,
            "shingle": recipe.duplicates.shingle,
        },
        "overlap": overlap,
        "constraints": dict(sorted(constraints.items())),
        "models": dict(zip(("instructions", "responses"), models, strict=True)),
        "prompts": workshop.prompts.hashes(names),
        "personas": {"count": len(workshop.personas.texts), "hash": workshop.personas.hash},
        "notes": list(notes),
    }
    sections = (
        steps_section(data),
        overlap_section(overlap),
        Section(
            title="Constraints",
            columns=("constraint", "rows"),
            rows=tuple(constraints.most_common()),
        ),
        Section(
            title="Models",
            columns=("of", "model", "fingerprint", "settings"),
            rows=tuple(
                (what, one["name"], one["fingerprint"], settings(one))
                for what, one in data["models"].items()
            ),
        ),
        Section(
            title="Prompts and personas",
            text=(f"{len(workshop.personas.texts)} personas, SHA-256 {workshop.personas.hash}.",),
            columns=("prompt", "SHA-256"),
            rows=tuple(data["prompts"].items()),
        ),
        Section(title="Licence", text=(recipe.license or NO_LICENCE,)),
        *([Section(title="Notes", text=tuple(notes))] if notes else []),
    )
    summary = (
        f"{len(rows)} rows and {len(pairs)} preference pairs, written by models for personas, seed "
        f"{recipe.seed}, recipe {recipe.hash[:16]}."
    )
    kept = tuple(one for one in sections if one.text or one.rows)
    return Card(title=recipe.name, summary=summary, sections=kept, data=data)


def steps_section(data: JsonObject) -> Section:
    """How many were kept at each step, and why others were not."""
    rows = [
        (
            one["kind"],
            one["step"],
            one["came"],
            one["kept"],
            share(one["kept"], one["came"]),
            "; ".join(f"{count} {reason}" for reason, count in one["reasons"].items()),
        )
        for one in data["steps"]
    ]
    return Section(
        title="Kept at each step",
        text=(
            "Prompts are near-duplicates where the Jaccard similarity of their runs of "
            f"{data['duplicates']['shingle']} tokens is {data['duplicates']['jaccard']:g} or more.",
        ),
        columns=("kind", "step", "came", "kept", "share", "why others were not"),
        rows=tuple(rows),
    )


def model_json(model: SynthesisModel) -> JsonObject:
    """What a card says of a model: nothing that it cost, which is another each time."""
    return {
        "name": model.name,
        "fingerprint": model.fingerprint,
        "engine": model.engine,
        "generation": model.table.generation(0).to_json(),
    }


def settings(model: JsonObject) -> str:
    """How a model was asked, in words."""
    given = {k: v for k, v in model["generation"].items() if v not in (None, [], ()) and k != "n"}
    return ", ".join(f"{name} {value}" for name, value in given.items() if name != "seed")
