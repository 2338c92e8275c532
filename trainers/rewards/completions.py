"""Completions of a model in training as evaluation reads them: thought and answer told apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from olmes.reasoning import ANY, Marks, Reader
from olmes.reasoning.families import families_of


def reader_of(tokenizer: Any) -> Reader:
    """How completions are taken apart: by the marks of the tokenizer's chat template and tokens."""
    template = tokenizer.chat_template
    marks = families_of(str(template or ""), tokenizer.get_added_vocab())
    if not marks:
        return ANY
    return Reader(marks, known=True, opened=opens_thought(tokenizer, marks))


def opens_thought(tokenizer: Any, marks: Sequence[Marks]) -> bool:
    """Whether the prompt ends inside a thought, so that a completion begins there."""
    if not tokenizer.chat_template:
        return False
    turns = [{"role": "user", "content": "?"}]
    text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    return any(text.rstrip().endswith(family.opening) for family in marks)


def mark_tokens(tokenizer: Any, reader: Reader) -> frozenset[int]:
    """The special tokens that mark a thought; none for most models, whose marks are plain text."""
    if not reader.known:
        return frozenset()
    written = "".join(chain.from_iterable(map(texts_of, reader.marks)))
    return frozenset(
        number
        for number, token in tokenizer.added_tokens_decoder.items()
        if token.special and str(token) in written
    )


def texts_with_marks(
    tokenizer: Any, completions: Sequence[Sequence[int]], marks: frozenset[int]
) -> list[str]:
    """The texts of completions without special tokens, but for those that mark a thought."""
    if not marks:
        found: list[str] = tokenizer.batch_decode(completions, skip_special_tokens=True)
        return found
    known = tokenizer.added_tokens_decoder.items()
    left_out = {number for number, token in known if token.special} - marks
    return [
        tokenizer.decode([token for token in map(int, ids) if token not in left_out])
        for ids in completions
    ]


def texts_of(family: Marks) -> list[str]:
    """Everything that a family writes round a thought and an answer."""
    return [family.opening, family.closing, *chain(*family.answers), *family.between]
