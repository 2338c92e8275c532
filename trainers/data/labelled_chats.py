"""Chats as tokens and labels: cut, packed where that is asked, once in several processes, and kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from olmes.rows.chats import row_tools, whole_chat
from olmes.trainers.data.kept import Kept, kept
from olmes.trainers.data.pieces import Alive, Making, Notes, Task
from olmes.trainers.data.tokenized import (
    GROUP,
    VERSION,
    Range,
    batches_of,
    list_features,
    lists,
    pieces_of,
    rows_of,
    tokenizer_hash,
    what,
)
from olmes.trainers.templates.encoding import LabelledChat, label_chats
from olmes.trainers.templates.labels import IGNORED
from olmes.trainers.templates.odd import OddRows
from olmes.trainers.templates.pairs import ChatTemplate

if TYPE_CHECKING:
    from datasets import Dataset
    from datasets.arrow_writer import ArrowWriter


@dataclass(frozen=True)
class Labelling:
    """Chats as tokens and labels, cut at `max_length`, and packed where that is asked."""

    rows: Dataset
    tokenizer: Any
    template: ChatTemplate
    max_length: int
    packing: bool

    def __call__(self, piece: Range, writer: ArrowWriter, alive: Alive) -> Notes:
        """Write a piece.

        Returns:
            `chats`: how many are `cut`, and of how many nothing is learned (`empty`); what
            `OddRows` notes.
        """
        import numpy as np

        counts: Counter[str] = Counter()
        odd = OddRows()
        group: list[tuple[Any, Any]] = []
        seen = 0
        for first, batch in batches_of(self.rows, piece):
            alive()
            for at, (ids, labels, note) in enumerate(self.encoded(batch)):
                odd.add(note, first + at, batch["messages"][at])
                if not ids:  # refused
                    continue
                counts["cut"] += len(ids) > self.max_length
                kept_ids = np.array(ids[: self.max_length], np.int32)
                kept_labels = np.array(labels[: self.max_length], np.int32)
                empty = not (kept_labels != IGNORED).any()
                counts["empty"] += empty
                seen += 1
                if not empty or self.packing:
                    group.append((kept_ids, kept_labels))
                if seen % GROUP == 0:
                    self.write(group, writer)
                    group = []
        self.write(group, writer)
        return {"chats": counts, **odd.notes()}

    def encoded(self, batch: dict[str, list[Any]]) -> list[LabelledChat]:
        """Ids and labels of some chats."""
        rows = rows_of(batch)
        return label_chats(
            self.tokenizer,
            [whole_chat(row, "messages") for row in rows],
            self.template,
            [row_tools(row) for row in rows],
        )

    def write(self, group: Sequence[tuple[Any, Any]], writer: ArrowWriter) -> None:
        """Some chats, packed into sequences or as they are."""
        import pyarrow as pa

        if not group:
            return
        ids, labels = zip(*group, strict=True)
        table = pa.table({"input_ids": lists(ids), "labels": lists(labels)})
        if self.packing:
            table = packed(table, self.max_length)
        writer.write_table(table, writer_batch_size=GROUP)


def packed(table: Any, max_length: int) -> Any:
    """Chats in sequences of `max_length`, by TRL's best fit decreasing."""
    from datasets import Dataset
    from trl.data_utils import pack_dataset

    sequences = pack_dataset(
        Dataset(table), max_length, "bfd", {"batch_size": None, "keep_in_memory": True}
    )
    return sequences.with_format("arrow")[:]


def labelled_chats(
    rows: Dataset,
    tokenizer: Any,
    template: ChatTemplate,
    max_length: int,
    packing: bool,
    making: Making,
) -> Kept:
    """The chats of a mixture as `input_ids` and `labels`, ready for TRL's trainer.

    Cut at `max_length`; chats that the template refuses (`odd`) and chats of which nothing is
    learned are left out, and with `packing` several fill a sequence (`seq_lengths`): as TRL's
    trainer would prepare them.

    Args:
        rows: with `messages`; its fingerprint says what it holds.
        tokenizer: a fast one.
        template: by which they are rendered.
        max_length: tokens of a sequence.
        packing: whether sequences are filled.
        making: by how many processes.

    Raises:
        OlmesError: the marks of the training template are wrong.
    """
    names = ("input_ids", "labels", "seq_lengths") if packing else ("input_ids", "labels")
    key = [
        "chats", VERSION, rows._fingerprint, tokenizer_hash(tokenizer), template.plain,
        template.training, max_length, packing,
        version("trl") if packing else "",
    ]  # fmt: skip

    def task() -> Task:
        if packing:  # here, and not in every process that is forked
            import trl.data_utils  # noqa: F401
        return Task(
            what=what("tokenizing", len(rows), "chats"),
            features=list_features(*names),
            pieces=pieces_of(rows),
            work=Labelling(rows, tokenizer, template, max_length, packing),
        )

    return kept("chats", key, task, making)
