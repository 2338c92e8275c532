"""What is told of a synthesis of preferences, on the terminal and in the data card."""

from __future__ import annotations

from collections.abc import Mapping

from olmes.records.shown import (
    MISSING,
    interval,
    shown,
    shown_difference,
    shown_p,
    shown_share,
)
from olmes.stats import Estimate
from olmes.synthesis.card import Card, Section
from olmes.synthesis.cleaning import overlap_section
from olmes.synthesis.preferences.aspects import prompt_names
from olmes.synthesis.preferences.gold import Agreement
from olmes.synthesis.preferences.measures import Measures
from olmes.synthesis.preferences.recipe import PreferencesRecipe
from olmes.synthesis.preferences.synthesis import Made
from olmes.synthesis.prompts import Prompts
from olmes.tools.as_json import as_json
from olmes.types import JsonObject

PANEL = "panel"
ALARM = 0.05
"""A bias whose adjusted p-value is below this is named in a sentence."""


def preferences_card(
    recipe: PreferencesRecipe,
    made: Made,
    measures: Measures,
    prompts: Prompts,
    overlap: JsonObject,
) -> Card:
    """The data card.

    Args:
        recipe: said how.
        made: what was made.
        measures: of it.
        prompts: the judges' words.
        overlap: with evaluations (`Cleaning.found`).
    """
    pairs = made.counts["pairs"]
    return Card(
        title=f"Preferences: {recipe.name}",
        summary=(
            f"{pairs:,} preference pairs from {len(made.prompts.prompts):,} prompts, answered by "
            f"{len(made.models)} models and rated by {len(made.judges)} judges on "
            f"{len(recipe.aspects)} aspect{'s' * (len(recipe.aspects) != 1)} from 1 to 5."
        ),
        sections=(
            kept_section(made),
            overlap_section(overlap),
            agreement_section(measures),
            position_section(measures),
            length_section(measures),
            *([gold_section(measures, made)] if made.gold else []),
            writers_section(measures),
            models_section(recipe, made),
        ),
        data=card_data(recipe, made, measures, prompts) | {"overlap": overlap},
    )


def card_data(
    recipe: PreferencesRecipe, made: Made, measures: Measures, prompts: Prompts
) -> JsonObject:
    """Everything by name: what `preferences.json` holds."""
    return {
        "name": recipe.name,
        "seed": recipe.seed,
        "recipe_hash": recipe.hash,
        "license": recipe.license,
        "data": {"content": made.prompts.content, **made.prompts.counts},
        "counts": {"pairs": 0, "unfinished": 0, **made.counts},
        "measures": as_json(measures),
        "models": {name: model.describe() for name, model in made.models.items()},
        "judges": {name: judge.describe() for name, judge in made.judges.items()},
        "prompts": prompts.hashes(prompt_names(recipe.of_aspects)),
    }


def kept_section(made: Made) -> Section:
    """How many prompts and answers were kept, and why others were not."""
    counts, data = made.counts, made.prompts.counts
    taken, answers = len(made.prompts.prompts), counts["answers"]
    rows = [
        ("rows of the data set", data["rows"], ""),
        ("without a question", data["not asked"], of(data["not asked"], data["rows"])),
        ("asking the same again", data["duplicates"], of(data["duplicates"], data["rows"])),
        ("prompts taken", taken, ""),
        ("overlapping with an evaluation", counts["overlapping"], of(counts["overlapping"], taken)),
        ("not finished: failed, or beyond the budget", counts["unfinished"],
         of(counts["unfinished"], taken)),
        ("fewer than two different answers", counts["alike"], of(counts["alike"], taken)),
        ("all answers rated the same", counts["tied"], of(counts["tied"], taken)),
        ("fewer than two answers with a rating", counts["unrated"], of(counts["unrated"], taken)),
        ("pairs", counts["pairs"], of(counts["pairs"], taken)),
        ("answers", answers, ""),
        ("without a word", counts["empty"], of(counts["empty"], answers)),
        ("cut at the token limit, left out", counts["cut"], of(counts["cut"], answers)),
        ("the same as another to the prompt", counts["same"], of(counts["same"], answers)),
    ]  # fmt: skip
    return Section(title="What was kept", columns=("what", "count", "share"), rows=tuple(rows))


def of(part: int, whole: int) -> str:
    """A share, or nothing where there is nothing to share."""
    return shown_share(part, whole) if whole else ""


def agreement_section(measures: Measures) -> Section:
    """Krippendorff's alpha."""
    rows = [
        (
            name,
            alpha.level,
            coefficient(alpha.value),
            ends(alpha.ci_low, alpha.ci_high),
            alpha.units,
            alpha.clusters,
        )
        for name, alpha in measures.alphas.items()
    ]
    undefined = {alpha.undefined for alpha in measures.alphas.values() if alpha.undefined}
    return Section(
        title="Agreement between judges",
        text=(
            "Krippendorff's alpha over the texts that two judges or more have rated: 1 is agreement, 0 "
            "what chance would bring. 95 % interval by drawing prompts anew.",
            *(f"Where none is shown, {reason}." for reason in sorted(undefined)),
        ),
        columns=("of", "level", "alpha", "95 %", "texts", "prompts"),
        rows=tuple(rows),
    )


def coefficient(value: float | None) -> str:
    """A coefficient of agreement, with three decimals; a dash where it is not defined."""
    return MISSING if value is None else f"{value:.3f}".replace("-", "−")


def ends(low: float | None, high: float | None) -> str:
    """The interval of a coefficient."""
    return MISSING if low is None else f"[{coefficient(low)}, {coefficient(high)}]"


def position_section(measures: Measures) -> Section:
    """Whether places move ratings."""
    judges = measures.judges
    most = max((len(judge.position.places) for judge in judges.values()), default=0)
    rows = [
        (
            name,
            *(
                difference(judge.position.places[at])
                if at < len(judge.position.places)
                else MISSING
                for at in range(most)
            ),
            shown_p(judge.position.p_value),
            shown_p(judge.position.p_adjusted),
        )
        for name, judge in judges.items()
    ]
    found = [n for n, j in judges.items() if alarming(j.position.p_adjusted)]
    return Section(
        title="Position bias",
        text=(
            "Mean rating in each place of the list, less the mean of all places, in points of the "
            "scale (± 1.96 standard errors). p: a randomization test over the draws of the order; "
            "adjusted by Holm over the judges.",
            *(f"{name} rates by the place: p < 0.05 after Holm." for name in found),
        ),
        columns=("judge", *(f"place {at}" for at in range(1, most + 1)), "p", "p, Holm"),
        rows=tuple(rows),
    )


def alarming(p_value: float | None) -> bool:
    """Whether a bias is named in a sentence."""
    return p_value is not None and p_value < ALARM


def difference(found: Estimate) -> str:
    """A difference with its error."""
    return f"{shown_difference(found.value, 'number')}{error(found)}"


def error(found: Estimate) -> str:
    """How far it may be off."""
    return "" if found.stderr is None else f" ± {1.96 * found.stderr:.2f}"


def length_section(measures: Measures) -> Section:
    """Whether length goes with ratings."""
    every = {**{n: j.length for n, j in measures.judges.items()}, PANEL: measures.length}
    rows = [
        (
            name,
            difference(bias.slope) if bias.slope else MISSING,
            interval(bias.slope.ci_low, bias.slope.ci_high, "number") if bias.slope else MISSING,
            shown_p(bias.p_value),
            shown_p(bias.p_adjusted) if name in measures.judges else "",
        )
        for name, bias in every.items()
    ]
    found = [n for n, j in measures.judges.items() if alarming(j.length.p_adjusted)]
    return Section(
        title="Length",
        text=(
            "Points of the scale for a doubling of the length in characters, among the answers to the "
            "same prompt. Longer answers may be better ones: hold it beside what humans prefer.",
            *(f"{name}'s ratings go with the length: p < 0.05 after Holm." for name in found),
            *(
                f"The longer side is chosen in {share(one)} of {one.n:,} pairs."
                for one in [measures.longer_chosen]
                if one
            ),
        ),
        columns=("judge", "slope", "95 %", "p", "p, Holm"),
        rows=tuple(rows),
    )


def share(found: Estimate | None) -> str:
    """A share with its interval."""
    if found is None:
        return MISSING
    return f"{shown(found.value, 'share')} % {interval(found.ci_low, found.ci_high, 'share')}"


def gold_section(measures: Measures, made: Made) -> Section:
    """How far humans agree."""
    every: Mapping[str, Agreement | None] = {
        **{name: judge.gold for name, judge in measures.judges.items()},
        PANEL: measures.gold,
    }
    rows = [
        (
            name,
            share(one.accuracy),
            one.accuracy.n if one.accuracy else 0,
            coefficient(one.kappa.value) if one.kappa else MISSING,
            one.ties,
            share(one.longer),
            share(one.human_longer),
        )
        for name, one in every.items()
        if one is not None
    ]
    rest = made.gold_unfinished
    return Section(
        title="Agreement with humans",
        text=(
            "Pairs on which humans have a preference and the judge has the same; a judge without one "
            "is half right. Cohen's kappa is over first, second and neither, each pair in both orders.",
            *([f"{rest:,} rows were not rated by all judges and are not counted."] if rest else []),
        ),
        columns=(
            "judge", "same", "pairs", "kappa", "no preference", "prefers the longer", "humans do",
        ),
        rows=tuple(rows),
    )  # fmt: skip


def writers_section(measures: Measures) -> Section:
    """Who wins."""
    rows = [
        (
            name,
            one.texts,
            rating(one.rating),
            share(one.wins),
            one.wins.n if one.wins else 0,
        )
        for name, one in measures.writers.items()
    ]
    own = measures.on_policy_chosen
    return Section(
        title="Who wrote what is chosen",
        text=(
            f"The model to be trained wrote one side of {own.n:,} pairs; it is chosen in {share(own)}.",
        )
        if own
        else (),
        columns=("model", "texts", "mean rating", "chosen, of the pairs it is in", "pairs"),
        rows=tuple(rows),
    )


def rating(found: Estimate | None) -> str:
    """A mean rating with its error."""
    return MISSING if found is None else f"{shown(found.value, 'number')}{error(found)}"


def models_section(recipe: PreferencesRecipe, made: Made) -> Section:
    """Who was asked, how often, and how readable the judges were."""
    rows = []
    for role, models in (("answers", made.models), ("judges", made.judges)):
        for name, model in models.items():
            told = model.describe()
            counts = made.of_judges.get(name) if role == "judges" else None
            rows.append(
                (
                    name, role, told["name"], told["requests"],
                    told["prompt_tokens"] + told["completion_tokens"],
                    "" if told["money"] is None else f"{told['money']:,.4f}",
                    of(counts["unread"], counts["ratings"]) if counts else "",
                    counts["again"] if counts else "",
                    str(told["fingerprint"])[:12],
                )
            )  # fmt: skip
    return Section(
        title="Models",
        text=(f"License: {recipe.license}.",) if recipe.license else (),
        columns=(
            "name", "role", "model", "requests", "tokens", "money", "ratings not read",
            "asked again", "fingerprint",
        ),
        rows=tuple(rows),
    )  # fmt: skip
