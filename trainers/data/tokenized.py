"""Rows as tokens: made once in several processes and kept, by the content of all they come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from olmes.errors import OlmesError
from olmes.rows.ranges import ranges
from olmes.tools.hashing import content_hash
from olmes.trainers.data.kept import Kept, kept
from olmes.trainers.data.pieces import Alive, Making, Notes, Task
from olmes.trainers.templates.odd import OddRows
from olmes.trainers.templates.pairs import ChatTemplate
from olmes.trainers.templates.preferences import encode_preferences

if TYPE_CHECKING:
    from datasets import Dataset
    from datasets.arrow_writer import ArrowWriter

VERSION = 3
"""Another number where the same rows come to other tokens than before."""
GROUP = 1000
"""Chats that are packed together, as TRL packs them; a piece is a whole number of groups."""
PIECE_BYTES = 8 << 20
BATCH_BYTES = 2 << 20
"""Text of a piece, and of what is tokenized at once."""

PAIR = ("prompt_ids", "chosen_ids", "rejected_ids")
"""Columns of a preference as tokens, named as TRL's trainer names them."""

Range = tuple[int, int]


def tokenizer_hash(tokenizer: Any) -> str:
    """64 hex digits over everything by which a tokenizer makes tokens."""
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    return content_hash(
        [
            backend.to_str(),
            {name: str(token) for name, token in tokenizer.special_tokens_map.items()},
            bool(tokenizer.split_special_tokens),
            version("tokenizers"),
            version("transformers"),
        ]
    )


def pieces_of(rows: Dataset) -> list[Range]:
    """Rows in ranges of about the same text."""
    groups = max(1, min(10, PIECE_BYTES // (GROUP * row_bytes(rows))))
    return ranges(len(rows), groups * GROUP)


def row_bytes(rows: Dataset) -> int:
    """Bytes of a row, on average over the sources."""
    return max(1, int(rows.data.nbytes) // max(1, len(rows.data)))


def batches_of(rows: Dataset, piece: Range) -> Iterator[tuple[int, dict[str, list[Any]]]]:
    """A piece's rows by column, some at a time, each time with the index of the first."""
    step = max(1, min(GROUP // 4, BATCH_BYTES // row_bytes(rows)))
    start, end = piece
    for first, behind in ranges(end - start, step):
        yield start + first, rows[start + first : start + behind]


def rows_of(batch: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """A batch of columns as rows."""
    return [dict(zip(batch, row, strict=True)) for row in zip(*batch.values(), strict=True)]


def rendered(
    tokenizer: Any, chats: Sequence[Any], *, first: int, prompt: bool = False
) -> list[str]:
    """Chats as text.

    Args:
        tokenizer: with its template.
        chats: turns of each.
        first: index of the first one, for messages.
        prompt: whether an answer is asked for.

    Raises:
        OlmesError: the template refuses one.
    """
    texts: list[str] = refused_by_name(
        lambda some: tokenizer.apply_chat_template(
            some, add_generation_prompt=prompt, tokenize=False
        ),
        chats,
        first,
    )
    return texts


def refused_by_name(call: Callable[[list[Any]], Any], chats: Sequence[Any], first: int) -> Any:
    """What a call makes of some chats.

    Raises:
        OlmesError: the template refuses one of them, which is named.
    """
    import jinja2

    try:
        return call(list(chats))
    except jinja2.TemplateError as error:
        for at, chat in enumerate(chats):
            try:
                call([chat])
            except jinja2.TemplateError as own:
                turns = ", ".join(turn["role"] for turn in chat)
                begin = str(chat[0]["content"])[:60]
                raise OlmesError(
                    f"the chat template refuses row {first + at + 1} of the mixture ({own}): its "
                    f"turns are {turns}, and it begins {begin!r}; leave the row out, or name another "
                    "template."
                ) from None
        raise OlmesError(f"the chat template refuses some of the rows ({error}).") from None


def tokens_of(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of rendered texts, which have their special tokens already."""
    if not texts:
        return []
    found: list[list[int]] = tokenizer(list(texts), add_special_tokens=False).input_ids
    return found


def lists(values: Sequence[Any]) -> Any:
    """Arrays of whole numbers as one Arrow array of lists, of 32 bits."""
    import numpy as np
    import pyarrow as pa

    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum([len(value) for value in values], out=offsets[1:])
    whole = np.concatenate(values) if len(values) else np.zeros(0)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(whole.astype(np.int32)))


def list_features(*names: str) -> Any:
    """Columns of lists of token ids."""
    from datasets import Features, List, Value

    return Features({name: List(Value("int32")) for name in names})


def what(action: str, count: int, things: str) -> str:
    """How a progress line names the work."""
    return f"{action} {count:,} {things}"


@dataclass(frozen=True)
class Pairing:
    """Preferences as tokens."""

    rows: Dataset
    tokenizer: Any
    template: ChatTemplate
    max_length: int

    def __call__(self, piece: Range, writer: ArrowWriter, alive: Alive) -> Notes:
        """Write a piece.

        Returns:
            `pairs`: how many are left out because their prompt fills `max_length` (`full`); what
            `OddRows` notes of those that the template refuses.
        """
        import pyarrow as pa

        counts: Counter[str] = Counter()
        odd = OddRows()
        for first, batch in batches_of(self.rows, piece):
            alive()
            made = encode_preferences(self.tokenizer, rows_of(batch), self.template)
            for at, one in enumerate(made):
                if isinstance(one, str):
                    odd.add(one, first + at, batch["prompt"][at])
            taken = [one for one in made if not isinstance(one, str)]
            fitting = [one for one in taken if len(one[0]) < self.max_length]
            counts["full"] += len(taken) - len(fitting)
            if fitting:
                columns = map(lists, zip(*fitting, strict=True))
                writer.write_table(pa.table(dict(zip(PAIR, columns, strict=True))), GROUP)
        return {"pairs": counts, **odd.notes()}


def tokenized_pairs(
    rows: Dataset, tokenizer: Any, template: ChatTemplate, max_length: int, making: Making
) -> Kept:
    """The preferences of a mixture as `prompt_ids`, `chosen_ids` and `rejected_ids`.

    Those whose prompt fills `max_length` are left out, and those that the template refuses.
    """
    key = [
        "pairs", VERSION, rows._fingerprint, tokenizer_hash(tokenizer), template.plain, max_length,
    ]  # fmt: skip

    def task() -> Task:
        return Task(
            what=what("tokenizing", len(rows), "pairs"),
            features=list_features(*PAIR),
            pieces=pieces_of(rows),
            work=Pairing(rows, tokenizer, template, max_length),
        )

    return kept("pairs", key, task, making)


@dataclass(frozen=True)
class Prompting:
    """Prompts as tokens."""

    rows: Dataset
    tokenizer: Any

    def __call__(self, piece: Range, writer: ArrowWriter, alive: Alive) -> Notes:
        """Write a piece."""
        import pyarrow as pa

        for first, batch in batches_of(self.rows, piece):
            alive()
            texts = rendered(self.tokenizer, batch["prompt"], first=first, prompt=True)
            table = pa.table({"input_ids": lists(tokens_of(self.tokenizer, texts))})
            writer.write_table(table, writer_batch_size=GROUP)
        return {}


def tokenized_prompts(rows: Dataset, tokenizer: Any, making: Making) -> Dataset:
    """The prompts of a mixture as `input_ids`, one row a row.

    Raises:
        OlmesError: the template refuses a prompt.
    """
    key = [
        "prompts", VERSION, rows._fingerprint, tokenizer_hash(tokenizer), tokenizer.chat_template
    ]  # fmt: skip

    def task() -> Task:
        return Task(
            what=what("tokenizing", len(rows), "prompts"),
            features=list_features("input_ids"),
            pieces=pieces_of(rows),
            work=Prompting(rows, tokenizer),
        )

    return kept("prompts", key, task, making).rows


def list_lengths(rows: Dataset, column: str) -> Any:
    """How long each list of a column is: an array, without reading the lists."""
    import numpy as np
    import pyarrow.compute as pc

    chunks = [
        pc.list_value_length(chunk).to_numpy(zero_copy_only=False)
        for chunk in rows.data.column(column).chunks
    ]
    return np.concatenate(chunks) if chunks else np.zeros(0, np.int64)
