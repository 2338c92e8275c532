"""Which token a template teaches as the end of an answer, and what a checkpoint then names."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from olmes.trainers.templates.endings import (
    begin_of_sequence,
    known_ends,
    name_ends,
    stop_at,
    taught_end,
)
from olmes.trainers.templates.pairs import ChatTemplate
from tests.trainers.templates_of_trl import template, tokenizer

ENDS = {
    "qwen3": "<|im_end|>",
    "llama3_1": "<|eot_id|>",
    "gemma3": "<end_of_turn>",
    "phi3": "<|end|>",  # which <eos> follows, once, at the end of a chat
    "gptoss": "<|return|>",  # <|end|> ends a thought as well
    "glm4moe": "<|user|>",  # the next turn's beginning: the template ends no answer
    "cohere2": "<|END_OF_TURN_TOKEN|>",
}


@pytest.mark.parametrize(("family", "end"), ENDS.items())
def test_the_end_that_a_family_teaches(family: str, end: str, tmp_path: Path) -> None:
    coder = tokenizer.__wrapped__(family)
    pair = ChatTemplate(template(family), "")
    taught = taught_end(coder, pair)
    assert coder.convert_ids_to_tokens(taught) == end
    before = coder.eos_token_id
    ends, news = stop_at(coder, pair, tmp_path)
    assert ends == (taught, before)
    assert end in news
    # phi3 writes eos_token, whose texts would change.
    assert coder.eos_token_id == (before if family == "phi3" else taught)


def test_what_a_checkpoint_knows_is_left_alone(tmp_path: Path) -> None:
    from transformers import GenerationConfig

    coder = tokenizer.__wrapped__("gemma3")
    end = coder.convert_tokens_to_ids("<end_of_turn>")
    GenerationConfig(eos_token_id=[coder.eos_token_id, end]).save_pretrained(tmp_path)
    before = coder.eos_token_id
    assert stop_at(coder, ChatTemplate(template("gemma3"), ""), tmp_path) == ((before, end), "")
    assert coder.eos_token_id == before
    assert known_ends(coder, tmp_path) == [before, end]


@pytest.mark.parametrize(
    ("own", "after"),
    [(None, [5, 2]), (2, [5, 2]), ([2, 9], [5, 2, 9]), ([9, 2, 5], [9, 2, 5])],
)
def test_a_model_names_all_its_ends(own: int | list[int] | None, after: list[int]) -> None:
    model = SimpleNamespace(generation_config=SimpleNamespace(eos_token_id=own))
    name_ends(model, (5, 2))
    assert model.generation_config.eos_token_id == after


def test_a_beginning_is_said_where_scoring_alone_has_it() -> None:
    from tokenizers import processors

    coder = tokenizer.__wrapped__("qwen3")
    with_bos, without = template("lfm2_v2"), template("qwen3")
    assert begin_of_sequence(coder, ChatTemplate(without, "")) == ""
    coder.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", coder.bos_token_id)]
    )
    assert "'<bos>'" in begin_of_sequence(coder, ChatTemplate(without, ""))
    assert begin_of_sequence(coder, ChatTemplate(with_bos, "")) == ""
