"""What finished rounds come to: kept in each round's folder, read again for the page and the tables."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmes.benchmark.suite import Pair
from olmes.comparison.ablations import Ablations, Variant, ablations
from olmes.comparison.items import SharedItems
from olmes.comparison.mix_advice import Advice, advise
from olmes.comparison.mix_rounds import MixReport, MixRound
from olmes.comparison.model_scores import by_model, named_pairs
from olmes.records.record import Record
from olmes.tools.as_json import as_json
from olmes.tools.jsonl import dumps, write_atomically
from olmes.trainers.mixing.places import ROUND, begun_rounds, is_over, read, round_folder
from olmes.trainers.mixing.proposal import proposal_file
from olmes.trainers.mixing.recipe import Mix

Runs = Sequence[Sequence[Record]]
"""By variant, one record a seed."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A round whose variants are trained and scored."""

    number: int
    variants: Sequence[Variant]
    weights: Mapping[str, float]
    dev: Runs
    unseen: Runs
    """Empty where no look was allowed."""

    @classmethod
    def of(cls, mix: Mix, dev: Runs, unseen: Runs) -> Finished:
        """The round of a mix."""
        return cls(
            number=mix.mixing.round,
            variants=[mixed.variant for mixed in mix.variants],
            weights=mix.weights,
            dev=dev,
            unseen=unseen,
        )

    def write(self, file: Path, out: Path, advice: Sequence[Advice]) -> None:
        """Keep it: who the variants are, and where the records lie: from here, where they lie here."""
        kept = {
            "number": self.number,
            "variants": as_json(list(self.variants)),
            "weights": dict(self.weights),
            "dev": [[placed(one, out) for one in own] for own in self.dev],
            "unseen": [[placed(one, out) for one in own] for own in self.unseen],
            "changes": any(one.changes for one in advice),
        }
        write_atomically(file, dumps(kept) + "\n")

    @classmethod
    def read(cls, file: Path, out: Path) -> Finished:
        """The reverse of `write`.

        Raises:
            OlmesError: the file, or a record, cannot be read.
        """
        kept: Any = read(file)
        return cls(
            number=kept["number"],
            variants=[Variant(**one) for one in kept["variants"]],
            weights=kept["weights"],
            dev=[[Record.load(out / one) for one in own] for own in kept["dev"]],
            unseen=[[Record.load(out / one) for one in own] for own in kept["unseen"]],
        )


def placed(record: Record, out: Path) -> str:
    """A record's folder, from the mix's folder where it lies in it."""
    folder, base = record.folder.resolve(), out.resolve()
    return os.path.relpath(folder, base) if folder.is_relative_to(base) else str(folder)


def advice_on(finished: Finished, weights: Mapping[str, float]) -> list[Advice]:
    """What a round speaks for; by dev alone."""
    return advise(ablations(finished.variants, finished.dev), weights)


def report_of(mix: Mix, out: Path) -> MixReport:
    """All finished rounds in a mix's folder.

    Raises:
        OlmesError: a round or a record cannot be read.
    """
    rounds = [
        Finished.read(round_folder(out, number) / ROUND, out)
        for number in begun_rounds(out)
        if is_over(out, number)
    ]
    items = SharedItems(each=True)
    return MixReport(
        name=mix.name,
        stage=mix.recipe.stage,
        rounds=tuple(round_of(one, items) for one in rounds),
        over_rounds=over_rounds(rounds, items),
        proposed=str(proposal_file(out, rounds[-1].number + 1)),
    )


def round_of(finished: Finished, items: SharedItems) -> MixRound:
    """One round, compared."""
    dev = ablations(finished.variants, finished.dev, items)
    unseen = ablations(finished.variants, finished.unseen, items) if finished.unseen else None
    pairs: list[Pair] = []
    if finished.unseen:
        pairs = named_pairs(by_model(record for own in finished.unseen for record in own))
    return MixRound(
        number=finished.number,
        dev=dev,
        unseen=unseen,
        pairs=tuple(pairs),
        advice=tuple(advise(dev, finished.weights)),
    )


def over_rounds(rounds: Sequence[Finished], items: SharedItems) -> Ablations | None:
    """The full mixtures of all rounds, held against the first; None where seeds or budgets differ."""
    alike = {(len(one.dev[0]), sum(one.variants[0].rows.values())) for one in rounds}
    if len(rounds) < 2 or len(alike) > 1:
        return None
    variants = [
        Variant(name=f"round {one.number}", kind="full", rows=one.variants[0].rows)
        for one in rounds
    ]
    return ablations(variants, [one.dev[0] for one in rounds], items)


def write_results(mix: Mix, out: Path) -> Path:
    """Write page, tables and JSON of all finished rounds.

    Returns:
        The page.

    Raises:
        OlmesError: as `report_of`.
    """
    from olmes.export.mix_tables import mix_csv, mix_latex, mix_markdown
    from olmes.reports.mix_page import write_mix_page

    report = report_of(mix, out)
    for name, text in (
        ("mix.md", mix_markdown(report)),
        ("mix.tex", mix_latex(report)),
        ("mix.csv", mix_csv(report)),
        ("mix.json", dumps(as_json(report)) + "\n"),
    ):
        write_atomically(out / name, text)
    return write_mix_page(report, out / "mix.html")
