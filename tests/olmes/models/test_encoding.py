"""Requests as text and tokens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.models.checkpoint.folder import LocalCheckpoint
from olmes.models.hf.encoding import Encoder
from olmes.models.hf.model import HFModel
from olmes.types import Generation, Request

GENERATION = Generation(max_tokens=4)


def plain(text: str, **fields: Any) -> Request:
    return Request(generation=GENERATION, prompt=text, **fields)


@pytest.fixture
def encoder(tiny: HFModel) -> Encoder:
    return tiny.encoder


def test_a_chat_is_rendered_and_the_prefill_appended_verbatim(tiny: HFModel) -> None:
    request = Request(
        generation=GENERATION,
        messages=({"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}),
        prefill=" Answer: ",
    )
    prompt = tiny.encode(request)
    assert prompt.text == (
        "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\nSo.<|im_end|>\n"
        "<|im_start|>assistant\n Answer: "
    )
    assert prompt.token_ids[0] == 1  # <|im_start|> is one token
    assert tiny.encoder.tokenizer.decode(prompt.token_ids) == prompt.text


def test_a_plain_prompt_goes_without_a_template(tiny: HFModel) -> None:
    prompt = tiny.encode(plain("Question: a\nAnswer:", prefill=" The"))
    assert prompt.text == "Question: a\nAnswer: The"
    assert tiny.encoder.tokenizer.decode(prompt.token_ids) == prompt.text


def test_encoding_loads_no_weights(tiny_folder: Path) -> None:
    model = HFModel("tiny", LocalCheckpoint(tiny_folder))
    model.encode(plain("a"))
    _ = model.engine, model.fingerprint
    assert "weights" not in vars(model)


@pytest.mark.parametrize(
    ("template", "bos_in_text"),
    [
        ("{% for m in messages %}{{ bos_token }}{{ m['content'] }}{% endfor %}", True),
        ("{% for m in messages %}{{ m['content'] }}{% endfor %}", False),
    ],
)
def test_there_is_one_begin_of_sequence_token(
    tmp_path: Path,
    build: Callable[..., Path],
    template: str,
    bos_in_text: bool,
    chat: Callable[..., Request],
) -> None:
    model = HFModel("tiny", LocalCheckpoint(build(tmp_path, adds_bos=True, template=template)))
    prompt = model.encode(chat("Mary"))
    assert prompt.text.startswith("<|bos|>") == bos_in_text
    assert prompt.token_ids.count(3) == 1
    assert prompt.token_ids[0] == 3
    assert model.encode(plain("Mary")).token_ids == prompt.token_ids
    assert model.encode(plain("<|bos|>Mary")).token_ids == prompt.token_ids
    assert model.encode(plain("")).token_ids == (3,)


def test_a_tokenizer_that_appends_an_end_does_not_end_the_prompt(tiny: HFModel) -> None:
    from copy import deepcopy

    from tokenizers.processors import TemplateProcessing

    tokenizer = deepcopy(tiny.encoder.tokenizer)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|endoftext|> $A <|im_end|>",
        special_tokens=[("<|endoftext|>", 0), ("<|im_end|>", 2)],
    )
    assert tokenizer("Mary")["input_ids"][-1] == 2
    ids = Encoder("tiny", tokenizer).encode(plain("Mary")).token_ids
    assert ids == (0, *tiny.encode(plain("Mary")).token_ids)


def test_a_chat_without_a_template_is_refused_with_the_remedy(
    tmp_path: Path, build: Callable[..., Path], chat: Callable[..., Request]
) -> None:
    model = HFModel("some-base", LocalCheckpoint(build(tmp_path, template=None)), device="cpu")
    with pytest.raises(
        OlmesError, match=r"'some-base' has no chat template.*--chat-template plain"
    ):
        model.encode(chat("a"))
    with pytest.raises(OlmesError, match="no chat template"):
        model.generate([chat("a")], lambda *_: None)
    assert model.encode(plain("a")).text == "a"


@pytest.mark.parametrize("start", ["", "\n", "  ", "\n  x\n"])
def test_templates_are_told_a_fixed_date_and_else_render_the_same(
    tiny: HFModel, chat: Callable[..., Request], start: str
) -> None:
    from copy import deepcopy

    asked = "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y, %A') }}{% endif %}"
    rest = "!{% for m in messages %}\n{{ m['content'] }}{% endfor %}"
    tokenizer = deepcopy(tiny.encoder.tokenizer)
    tokenizer.chat_template = start + asked + rest
    told = Encoder("tiny", tokenizer).render(chat("a"))
    tokenizer.chat_template = start + "{% if true %}{{ 'now' }}{% endif %}" + rest
    untold = Encoder("tiny", tokenizer).render(chat("a"))
    assert told == untold.replace("now", "26 Jul 2024, Friday")
    assert "26 Jul 2024, Friday!" in told


def test_continuations_are_tokenized_with_their_prompt(encoder: Encoder) -> None:
    """The boundary is where the tokens of the whole leave those of the prompt."""
    prompt = encoder.encode(plain("The answer is:"))
    ids, boundary = encoder.with_continuation(prompt, " Paris")
    assert ids == encoder.tokens("The answer is: Paris")
    assert ids[:boundary] == prompt.token_ids
    assert encoder.decode(ids[boundary:]) == " Paris"


def test_a_token_across_the_boundary_belongs_to_the_continuation(encoder: Encoder) -> None:
    prompt = encoder.encode(plain("The answer is: "))
    ids, boundary = encoder.with_continuation(prompt, "Paris")
    assert ids == encoder.tokens("The answer is: Paris")
    assert boundary == len(prompt.token_ids) - 1
    assert encoder.decode(ids[boundary:]) == " Paris"


def test_a_continuation_of_nothing_follows_the_tokenizers_own_token(encoder: Encoder) -> None:
    ids, boundary = encoder.with_continuation(encoder.encode(plain("")), "Paris")
    assert boundary == 1
    assert ids == (encoder.tokenizer.eos_token_id, *encoder.tokens("Paris"))


def test_an_answer_keeps_the_space_its_first_word_begins_with() -> None:
    """SentencePiece tokenizers drop it when they decode the answer alone."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<s>", "▁Answer:", "▁The", "▁river", "s"]
    tokenizer = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    encoder = Encoder("tiny", PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>"))
    assert encoder.decode([2, 3, 4]) == "The rivers"
    assert encoder.answer([0, 1], [2, 3, 4]) == " The rivers"
    assert encoder.answer([0, 1, 3], [4]) == "s"


def test_an_answer_that_completes_a_character_of_the_prompt_is_whole(encoder: Encoder) -> None:
    ids = encoder.tokens("ü")
    assert len(ids) == 2  # no merges of it were learnt: one token a byte
    assert encoder.answer([*encoder.tokens("M"), ids[0]], [ids[1], *encoder.tokens("a")]).endswith(
        "a"
    )
    assert encoder.answer(encoder.tokens("M"), ids) == "ü"


def test_stop_strings_that_are_special_tokens_are_known(encoder: Encoder) -> None:
    assert encoder.stop_tokens(["\n\n", "<|im_start|>", "</s>"]) == {1}
