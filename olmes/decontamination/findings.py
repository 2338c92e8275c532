"""What data sets have in common with evaluations: counted, and held against the rule."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from olmes.decontamination.evaluations import Evaluation
from olmes.decontamination.matches import CONTAMINATED, MATCHED, NGRAM, Match
from olmes.records.overlap import Overlap, shown_name
from olmes.types import JsonObject


@dataclass(frozen=True, slots=True)
class Finding:
    """A data set beside an evaluation."""

    evaluation: Evaluation
    overlapped: frozenset[int]
    """Places in `Evaluation.items` of those that overlap with a row."""
    matched_rows: int
    """Rows that an item overlaps with."""

    @property
    def n(self) -> int:
        """Items that were compared, those without tokens among them."""
        return len(self.evaluation.items)

    @property
    def share(self) -> float:
        """Overlapped items of all, from 0 to 1."""
        return len(self.overlapped) / self.n if self.n else 0.0

    @property
    def contaminated(self) -> bool:
        """Whether the data set is, by this evaluation."""
        return self.share > CONTAMINATED

    def to_json(self, *, items: bool = False) -> JsonObject:
        """Counts, which may be shown of held-out tasks too.

        Args:
            items: say which items they are, of evaluations that may be shown.
        """
        own = [self.evaluation.items[place] for place in sorted(self.overlapped)]
        named = [{"id": one.id, "doc_hash": one.doc_hash} for one in own]
        return {
            "task": self.evaluation.task,
            "n": self.n,
            "without_tokens": self.evaluation.without_tokens,
            "overlapped": len(self.overlapped),
            "share": self.share,
            "matched_rows": self.matched_rows,
            "contaminated": self.contaminated,
        } | ({"items": named} if items and not self.evaluation.closed else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """Training data that were compared."""

    name: str
    data_hash: str
    commit: str
    """Of a set of the hub; '' else."""
    rows: int
    without_text: int
    """Rows in which there was nothing to compare."""
    findings: tuple[Finding, ...]
    open_rows: Sequence[int]
    """Rows that overlap with an item that may be shown, in order."""

    @property
    def contaminated(self) -> bool:
        """Whether it is, by any evaluation."""
        return any(one.contaminated for one in self.findings)

    @property
    def closed_by(self) -> tuple[Finding, ...]:
        """Held-out and gated evaluations by which it is contaminated."""
        return tuple(one for one in self.findings if one.contaminated and one.evaluation.closed)

    def overlaps(self) -> list[Overlap]:
        """What the lineage of a model that is trained on it carries."""
        return [
            Overlap(
                data_set=shown_name(self.name),
                data_hash=self.data_hash,
                rows=self.rows,
                task=one.evaluation.task,
                task_data_hash=one.evaluation.data_hash,
                n=one.n,
                overlapped=len(one.overlapped),
                items=[one.evaluation.items[place].doc_hash for place in sorted(one.overlapped)],
                matched_rows=one.matched_rows,
                ngram=NGRAM,
                threshold=MATCHED,
            )
            for one in self.findings
        ]

    def to_json(self, *, items: bool = False) -> JsonObject:
        """Counts; with `items` as those of a `Finding`."""
        return {
            "data_set": self.name,
            "data_hash": self.data_hash,
            "commit": self.commit,
            "rows": self.rows,
            "without_text": self.without_text,
            "contaminated": self.contaminated,
            "overlaps": [one.to_json(items=items) for one in self.findings],
        }


@dataclass
class Tally:
    """Counts of matches as they come, row by row: as large as the evaluations, whatever the data."""

    evaluations: Sequence[Evaluation]
    items: dict[str, set[int]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    open_rows: array[int] = field(default_factory=lambda: array("Q"))
    latest: dict[str, int] = field(default_factory=dict)
    """By task, the row that was counted last."""

    def counted(self, matches: Iterable[Match]) -> Iterator[Match]:
        """The same matches, counted; given on are those with items that may be shown."""
        closed = {one.task for one in self.evaluations if one.closed}
        for match in matches:
            self.items.setdefault(match.task, set()).add(match.item)
            if self.latest.get(match.task) != match.row:
                self.latest[match.task] = match.row
                self.rows[match.task] = self.rows.get(match.task, 0) + 1
            if match.task not in closed:
                if not self.open_rows or self.open_rows[-1] != match.row:
                    self.open_rows.append(match.row)
                yield match

    def findings(self) -> tuple[Finding, ...]:
        """One an evaluation."""
        return tuple(
            Finding(one, frozenset(self.items.get(one.task, ())), self.rows.get(one.task, 0))
            for one in self.evaluations
        )


@dataclass(frozen=True, slots=True)
class Findings:
    """Data sets beside evaluations."""

    data_sets: tuple[DataSet, ...]
    evaluations: tuple[Evaluation, ...]
    skipped: Mapping[str, str]
    """By task, why it was not compared."""
    fields: tuple[str, ...]
    """What of an item was compared."""

    @property
    def contaminated(self) -> bool:
        """Whether any data set is."""
        return any(one.contaminated for one in self.data_sets)

    def labels(self) -> dict[str, str]:
        """By name of a data set what a table calls it: without folders, unless two are then alike."""
        short = {one.name: shown_name(one.name) for one in self.data_sets}
        times = Counter(short.values())
        return {name: label if times[label] == 1 else name for name, label in short.items()}

    def closed_counts(self) -> list[JsonObject]:
        """Of held-out tasks, what the ledger says."""
        return [
            {
                "data_set": one.name,
                "data_hash": one.data_hash,
                "rows": one.rows,
                "task": finding.evaluation.task,
                "n": finding.n,
                "overlapped": len(finding.overlapped),
            }
            for one in self.data_sets
            for finding in one.findings
            if finding.evaluation.held_out
        ]

    def to_json(self, *, items: bool = False) -> JsonObject:
        """What `--json` prints; with `items` which items overlap, of evaluations that may be shown."""
        return {
            "rule": rule(self.fields),
            "contaminated": self.contaminated,
            "data_sets": [one.to_json(items=items) for one in self.data_sets],
            "evaluations": [
                {
                    "task": one.task,
                    "title": one.title,
                    "held_out": list(one.held_out),
                    "gated": one.gated,
                    "origin": one.origin,
                    "data_hash": one.data_hash,
                    "n": len(one.items),
                    "without_tokens": one.without_tokens,
                }
                for one in self.evaluations
            ],
            "skipped": dict(self.skipped),
        }


def rule(fields: Sequence[str]) -> JsonObject:
    """The numbers of the rule (Tülu 3, section 3.2), and what of an item was compared."""
    return {
        "ngram": NGRAM,
        "matched": MATCHED,
        "contaminated": CONTAMINATED,
        "fields": list(fields),
    }
