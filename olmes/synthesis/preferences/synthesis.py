"""`olmes synth preferences`: prompts in, preference pairs and what is to be known of them out.

prompts -> answers of a pool -> ratings of a panel -> pairs -> measures, data card
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from olmes.synthesis.cleaning import Cleaning
from olmes.synthesis.preferences.answering import answer_prompts
from olmes.synthesis.preferences.binarised import Pair, binarised
from olmes.synthesis.preferences.gold import GoldRow, read_gold
from olmes.synthesis.preferences.judging import Case, Sheets, judge_cases
from olmes.synthesis.preferences.measures import Measures, measured
from olmes.synthesis.preferences.panel import Judged
from olmes.synthesis.preferences.prompt_set import (
    ON_POLICY,
    Prompt,
    PromptSet,
    read_prompts,
    writers,
)
from olmes.synthesis.preferences.recipe import PreferencesRecipe
from olmes.synthesis.prompts import Prompts
from olmes.synthesis.session import Session, SynthesisModel

BLOCK = 64
"""Prompts that are answered and judged before the next ones are, while a budget is watched: what it
buys are finished pairs, not answers that nobody judges."""


@dataclass
class Made:
    """What a synthesis of preferences has come to."""

    prompts: PromptSet
    cleaning: Cleaning
    """What the prompts have in common with evaluations."""
    judged: list[Judged] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """Prompts with a pair (`pairs`), and those without by the reason: `overlapping` (with an
    evaluation that the recipe names), `unfinished` (a request failed or did not fit into the budget),
    `alike` (fewer than two different texts), `tied`, `unrated`; and of answers what `Answers.counts`
    has."""
    of_judges: dict[str, Counter[str]] = field(default_factory=dict)
    gold: tuple[list[GoldRow], list[Judged]] | None = None
    gold_unfinished: int = 0
    """Rows of the humans that not all judges have rated."""
    models: dict[str, SynthesisModel] = field(default_factory=dict)
    judges: dict[str, SynthesisModel] = field(default_factory=dict)

    def measures(self, recipe: PreferencesRecipe) -> Measures:
        """What is measured on it."""
        return measured(
            self.judged,
            self.pairs,
            list(recipe.judges),
            recipe.aspects,
            self.of_judges,
            self.gold,
            recipe.seed,
        )


def make_preferences(
    recipe: PreferencesRecipe,
    session: Session,
    prompts: Prompts,
    store: Path,
    gold: Path | None = None,
) -> Made:
    """Have prompts answered and judged, and make pairs.

    Args:
        recipe: says how.
        session: asks; what it has asked before it does not ask again.
        prompts: the judges' words.
        store: whose ledger counts of held-out tasks are written into.
        gold: a file of humans' preferences, which the panel rates too.

    Raises:
        OlmesError: prompts or humans' preferences cannot be read, or a model refuses everything.
    """
    compared = read_gold(gold) if gold else []
    cleaning = Cleaning(recipe.decontamination, store, say=session.say)
    made = Made(read_prompts(recipe.data, recipe.seed), cleaning)
    kept = clean(made.prompts.prompts, cleaning)
    made.counts["overlapping"] = len(made.prompts.prompts) - len(kept)
    tables = {**recipe.pool, **({ON_POLICY: recipe.on_policy} if recipe.on_policy else {})}
    made.models = {name: session.load(table) for name, table in tables.items()}
    made.judges = {name: session.load(table) for name, table in recipe.judges.items()}
    made.of_judges = {name: Counter() for name in recipe.judges}
    wanted = writers(recipe, kept)
    for block in blocks(kept, limited=session.spending.limited):
        answers = answer_prompts(
            block, wanted, made.models, session, seed=recipe.seed, keep_cut=recipe.keep_cut
        )
        made.counts.update(answers.counts)
        made.counts["unfinished"] += answers.unfinished
        cases = [
            Case(prompt.id, prompt.turns, found)
            for prompt in block
            if len(found := answers.by_prompt.get(prompt.id, ())) > 1
        ]
        made.counts["alike"] += len(answers.by_prompt) - len(cases)
        sheets = rated(cases, recipe, made, session, prompts)
        made.counts["unfinished"] += sheets.unfinished
        made.judged += sheets.judged
    for one in made.judged:
        pair = binarised(one, recipe.seed)
        if isinstance(pair, Pair):
            made.pairs.append(pair)
            made.counts["pairs"] += 1
        else:
            made.counts[pair] += 1
    if compared:
        cases = [Case(row.id, row.prompt, row.answers) for row in compared]
        sheets = rated(list({case.id: case for case in cases}.values()), recipe, made, session,
                       prompts, of="gold")  # fmt: skip
        whole = {one.id: one for one in sheets.judged}
        finished = [row for row in compared if row.id in whole]
        made.gold = finished, [whole[row.id] for row in finished]
        made.gold_unfinished = len(compared) - len(finished)
    return made


def clean(prompts: Sequence[Prompt], cleaning: Cleaning) -> list[Prompt]:
    """The prompts that have nothing in common with an evaluation; nobody is asked the others."""
    said = [[turn["content"] for turn in p.turns if turn["role"] == "user"] for p in prompts]
    return [prompts[place] for place in cleaning.keep(said)] if cleaning.open else list(prompts)


def rated(
    cases: Sequence[Case],
    recipe: PreferencesRecipe,
    made: Made,
    session: Session,
    prompts: Prompts,
    of: str = "",
) -> Sheets:
    """The panel's ratings of some cases; what judges were asked is counted."""
    sheets = judge_cases(
        cases, made.judges, recipe.of_aspects, prompts, session, seed=recipe.seed, of=of
    )
    for name, counts in sheets.counts.items():
        made.of_judges[name].update(counts)
    return sheets


def blocks(prompts: Sequence[Prompt], *, limited: bool) -> Iterator[Sequence[Prompt]]:
    """The prompts in parts; all at once where no budget is watched: one stream is answered faster."""
    size = BLOCK if limited else max(1, len(prompts))
    for start in range(0, len(prompts), size):
        yield prompts[start : start + size]
