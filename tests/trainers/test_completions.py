"""Completions of a model in training: its marks are known, and kept where they are special tokens."""

from __future__ import annotations

from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AddedToken, PreTrainedTokenizerFast

from olmes.reasoning import ANY, split
from olmes.trainers.rewards.completions import mark_tokens, reader_of, texts_with_marks
from olmes.types import Response

TEMPLATE = "{% for m in messages %}{{ m.content }} {% endfor %}"
WORDS = ["[UNK]", "so", "it", "is", "3", "hm", "?"]


def tokenizer(template: str, marks: tuple[str, ...] = (), *, special: bool = True) -> Any:
    """A real tokenizer of a few words, an end of sequence and perhaps marks."""
    words = Tokenizer(models.WordLevel({w: at for at, w in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made = PreTrainedTokenizerFast(
        tokenizer_object=words, eos_token="<|end_of_text|>", clean_up_tokenization_spaces=False
    )
    made.add_tokens([AddedToken(mark, special=special) for mark in marks], special_tokens=special)
    made.chat_template = template
    return made


def completed(made: Any, text: str) -> Response:
    """What evaluation would make of a completion that says `text` and ends."""
    reader = reader_of(made)
    ids = [*made(text, add_special_tokens=False).input_ids, made.eos_token_id]
    [found] = texts_with_marks(made, [ids], mark_tokens(made, reader))
    return split(Response(text=found), reader)


def test_nothing_differs_for_a_model_without_marks() -> None:
    made = tokenizer(TEMPLATE)
    assert reader_of(made) == ANY
    assert mark_tokens(made, ANY) == frozenset()
    assert completed(made, "so it is 3") == Response(text="so it is 3")


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("marks", [("[THINK]", "[/THINK]"), ("<think>", "</think>")])
def test_marks_are_kept_and_the_answer_is_what_follows(
    marks: tuple[str, str], special: bool
) -> None:
    made = tokenizer(TEMPLATE, marks, special=special)
    assert bool(mark_tokens(made, reader_of(made))) == special
    found = completed(made, f"{marks[0]} hm ? {marks[1]} it is 3")
    assert (found.reasoning.strip(), found.text) == ("hm ?", "it is 3")
    assert completed(made, f"{marks[0]} it is 3").unfinished_thinking


def test_a_template_that_opens_the_thought() -> None:
    opening = "{% if add_generation_prompt %}<think>\n{% endif %}"
    made = tokenizer(TEMPLATE + opening + "{# </think> #}", ("<think>", "</think>"), special=False)
    assert reader_of(made).opened
    assert completed(made, "it is 3").unfinished_thinking
    assert completed(made, "hm </think> it is 3").text == "it is 3"
