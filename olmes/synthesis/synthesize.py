"""`olmes synth personas`: from a recipe to verified rows, pairs and a data card.

personas -> instructions -> (duplicates, overlap with evaluations out) -> answers -> verified rows
-> preference pairs -> files
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from olmes.records.schema import Cost
from olmes.synthesis.candidates import Candidate, Kind, Workshop
from olmes.synthesis.card import write_card
from olmes.synthesis.cleaning import Cleaning
from olmes.synthesis.code import CodeKind
from olmes.synthesis.constrained import ConstrainedKind
from olmes.synthesis.mathematics import MathKind
from olmes.synthesis.near_duplicates import NearDuplicates
from olmes.synthesis.persona_card import persona_card
from olmes.synthesis.persona_recipe import PersonaRecipe
from olmes.synthesis.personas import read_personas
from olmes.synthesis.prompts import Prompts
from olmes.synthesis.session import Progress, Say, Session
from olmes.synthesis.steps import Steps
from olmes.synthesis.verdicts import Scorers
from olmes.tools import jsonl
from olmes.types import JsonObject

AT_ONCE = 100
"""Instructions of a kind that go through all steps together: a used-up budget ends with rows."""
ROWS, PAIRS = "rows.jsonl", "preferences.jsonl"
DISTINCT, CLEAN = "no near-duplicate", "no overlap with evaluations"
KINDS: tuple[type[Kind], ...] = (ConstrainedKind, MathKind, CodeKind)


@dataclass(frozen=True, kw_only=True)
class Made:
    """What came of a recipe."""

    folder: Path
    rows: list[JsonObject]
    pairs: list[JsonObject]
    steps: Steps
    models: list[JsonObject]
    cost: Cost | None
    money: float | None
    """None where no model has a price."""
    troubles: list[str]
    """Why the same command would make more of it, a sentence each."""
    notes: list[str]
    """What else a user must know, a sentence each."""


def synthesize(
    recipe: PersonaRecipe,
    out: Path,
    *,
    store: Path,
    say: Say,
    progress: Progress | None = None,
    use_cache: bool = True,
) -> Made:
    """Make the rows of a recipe, or go on where an earlier session stopped.

    Args:
        recipe: what is made.
        out: folder of the rows, and of what is needed to go on.
        store: whose ledger counts of held-out tasks are written into.
        say: gets a line for the user.
        progress: hears of requests and responses.
        use_cache: whether responses are taken from and put into the cache shared by all runs.

    Raises:
        OlmesError: something the recipe names is not there or does not fit, a model refuses all
            requests alike, or another process is writing the folder. What is finished stays.
    """
    # What a slip of the hand gets wrong is told before a model is loaded.
    personas = read_personas(recipe.personas, recipe.seed)
    prompts = Prompts(recipe.prompts)
    duplicates = NearDuplicates(recipe.duplicates.jaccard, recipe.duplicates.shingle, recipe.seed)
    cleaning = Cleaning(recipe.decontamination, store, say=say)
    steps = Steps()
    wanted = [kind for kind in KINDS if kind.wanted(recipe)]
    for one in wanted:
        one.check(recipe)
    with (
        Scorers() as scorers,
        Session(out, recipe.budget, say=say, progress=progress, use_cache=use_cache) as session,
    ):
        workshop = Workshop(
            recipe=recipe,
            session=session,
            personas=personas,
            prompts=prompts,
            steps=steps,
            scorers=scorers,
            generator=session.load(recipe.generator),
            responder=session.load(recipe.answers),
        )
        kinds = [kind(workshop) for kind in wanted]
        rows: list[JsonObject] = []
        pairs: list[JsonObject] = []
        try:
            for start in range(0, max(kind.count for kind in kinds), AT_ONCE):
                for kind, found in proposed(kinds, start, duplicates, cleaning, steps):
                    made = kind.rows(found)
                    rows += made
                    pairs += kind.pairs(made)
        except BaseException:
            if len(rows) > written(out / ROWS):
                jsonl.write(out / ROWS, rows)
                jsonl.write(out / PAIRS, pairs)
            raise
        jsonl.write(out / ROWS, rows)
        jsonl.write(out / PAIRS, pairs)
        overlap = cleaning.found(out / ROWS)
        notes = [
            *(kind.no_sandbox for kind in kinds if isinstance(kind, CodeKind) and kind.no_sandbox),
            *(
                f"{name} was not compared with: {why}"
                for name, why in cleaning.against.skipped.items()
            ),
        ]
        made_all = Made(
            folder=out,
            rows=rows,
            pairs=pairs,
            steps=steps,
            models=session.describe(),
            cost=session.cost(),
            money=session.spending.money if session.spending.priced else None,
            troubles=session.troubles(),
            notes=notes,
        )
        write_card(out, persona_card(recipe, workshop, kinds, overlap, rows, pairs, made_all.notes))
        return made_all


def proposed(
    kinds: Sequence[Kind],
    start: int,
    duplicates: NearDuplicates,
    cleaning: Cleaning,
    steps: Steps,
) -> list[tuple[Kind, list[Candidate]]]:
    """The next instructions of every kind, without near-duplicates and overlaps with evaluations."""
    found = [
        one
        for kind in kinds
        for one in kind.propose(range(start, min(start + AT_ONCE, kind.count)))
    ]
    found = kept(found, duplicates.keep, steps, DISTINCT, "nearly the same as another")
    if cleaning.open:
        found = kept(found, cleaning.keep, steps, CLEAN, "overlaps with an item of an evaluation")
    return [(kind, [one for one in found if one.kind == kind.name]) for kind in kinds]


def kept(
    candidates: Sequence[Candidate],
    keep: Callable[[Sequence[str]], list[int]],
    steps: Steps,
    step: str,
    reason: str,
) -> list[Candidate]:
    """The candidates whose prompts are kept, the others counted."""
    places = set(keep([one.prompt for one in candidates]))
    for place, one in enumerate(candidates):
        if place in places:
            steps.kept(one.kind, step)
        else:
            steps.lost(one.kind, step, reason)
    return [one for place, one in enumerate(candidates) if place in places]


def written(path: Path) -> int:
    """Lines of a file; 0 where there is none."""
    return sum(1 for _ in jsonl.read_lines(path)) if path.exists() else 0
