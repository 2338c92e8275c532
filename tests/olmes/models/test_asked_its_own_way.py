"""Checkpoints asked in other ways: plain text, other templates, no system turn, other sampling."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.models.checkpoint.folder import LocalCheckpoint
from olmes.models.hf.model import HFModel
from olmes.models.options import Asking
from olmes.models.spec import load_model
from olmes.types import Generation, Message, Request, Response
from tests.olmes.models.files.scripted_model import BEGINS_INSIDE, PLAIN_CHAT, THINKS

Answer = Callable[..., list[Response]]
SYSTEM: Message = {"role": "system", "content": "Be brief."}
USER: Message = {"role": "user", "content": "Why?"}
REFUSES = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}" + PLAIN_CHAT
)
DROPS = (
    "{% for m in messages if m.role != 'system' %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)


def model_of(folder: Path, **asking: Any) -> HFModel:
    return HFModel("m", LocalCheckpoint(folder), device="cpu", asking=Asking(**asking))


def request(*messages: Message, **settings: Any) -> Request:
    generation = Generation(**{"max_tokens": 8, **settings})
    return Request(generation=generation, messages=messages or (USER,))


@pytest.mark.parametrize("template", [REFUSES, DROPS])
def test_a_system_turn_that_the_template_has_not_goes_to_the_user(
    tmp_path: Path, build: Callable[..., Path], template: str
) -> None:
    model = model_of(build(tmp_path, template=template))
    assert model.merges_system
    assert list(model.notes) == []
    assert "user\nWhy?<" in model.encode(request()).text
    assert list(model.notes) == []
    assert "user\nBe brief.\n\nWhy?<" in model.encode(request(SYSTEM, USER)).text
    model.encode(request(SYSTEM, USER))
    assert [note for note in model.notes if "no system turn" in note] == list(model.notes)
    alone = model.encode(request(SYSTEM)).text
    assert "user\nBe brief.<" in alone


def test_a_template_with_a_system_turn_keeps_it(tmp_path: Path, build: Callable[..., Path]) -> None:
    model = model_of(build(tmp_path))
    assert not model.merges_system
    assert "system\nBe brief.<" in model.encode(request(SYSTEM, USER)).text
    assert list(model.notes) == []


def test_a_base_model_is_asked_in_plain_text(
    tmp_path: Path, build: Callable[..., Path], answer: Answer
) -> None:
    folder = build(tmp_path, template=None)
    model = model_of(folder, chat_template="plain")
    shot: Message = {"role": "assistant", "content": "Answer: 2"}
    asked: tuple[Message, ...] = (
        {"role": "user", "content": "Question: 1+1?"}, shot,
        {"role": "user", "content": "Question: 2+2?"},
    )  # fmt: skip
    assert model.encode(request(*asked)).text == ("Question: 1+1?\nAnswer: 2\n\nQuestion: 2+2?\n")
    [whole] = answer(model, [request(*asked)])
    assert whole.completion_tokens == 8
    assert model.row(0, request(*asked)).generation.stop == ("\n\nQuestion:",)
    assert model.row(0, request()).generation.stop == ()
    assert model.engine["chat_template"] == "plain"
    assert "without a chat template" in next(iter(model.notes))
    with pytest.raises(OlmesError, match="--chat-template plain"):
        model_of(folder).encode(request())


def test_another_template_is_recorded_by_name_and_content(
    tmp_path: Path, build: Callable[..., Path]
) -> None:
    folder = build(tmp_path / "m")
    file = tmp_path / "mine.jinja"
    file.write_text("{% for m in messages %}[{{ m.content }}]{% endfor %}{{ end }}\n", "utf-8")
    model = model_of(folder, chat_template=str(file), template_args={"end": "!"})
    assert model.encode(request()).text == "[Why?]!"
    recorded = model.engine["chat_template"]
    assert recorded.startswith("mine (")
    assert str(tmp_path) not in str(model.engine)
    file.write_text(file.read_text("utf-8") + "?", "utf-8")
    assert model_of(folder, chat_template=str(file)).engine["chat_template"] != recorded
    tulu = model_of(folder, chat_template="tulu")
    assert tulu.encode(request()).text == "<|user|>\nWhy?\n<|assistant|>\n"


def test_what_is_known_of_a_thought_needs_no_tokenizer(
    tmp_path: Path, build: Callable[..., Path]
) -> None:
    model = model_of(build(tmp_path, template=THINKS))
    assert model.thinks
    assert [one.name for one in model.reader.marks] == ["think"]
    assert model.engine["thinking_budget"] == 32_768
    assert "encoder" not in vars(model)
    assert "thinking_budget" not in model_of(tmp_path, thinking="off").engine
    assert "thinking_budget" not in model_of(build(tmp_path / "plain")).engine


def test_a_thinking_model_of_the_warm_memory_is_asked_its_own_way(
    tmp_path: Path, build: Callable[..., Path]
) -> None:
    from olmes.models.hf.warm import WarmMemory

    folder, warm = str(build(tmp_path, template=BEGINS_INSIDE)), WarmMemory()
    first = load_model(folder, warm=warm)
    second = load_model(folder, warm=warm, asking=Asking(thinking="off"))
    asked = request()
    assert first.encode(asked).text.endswith("<think>\n")
    assert second.encode(asked).text.endswith("<think>\n\n</think>\n\n")
    assert first.encode(asked).text.endswith("<think>\n")


SAMPLING = {
    "greedy": ({"do_sample": False, "temperature": 0.6}, {"temperature": 0.0}),
    "sampled": (
        {"do_sample": True, "temperature": 0.6, "top_p": 0.95, "top_k": 20, "min_p": 0.0},
        {"temperature": 0.6, "top_p": 0.95, "top_k": 20},
    ),
    "at one": ({"do_sample": True, "top_k": 0, "top_p": 1.0}, {"temperature": 1.0}),
    "as servers read it": ({"temperature": 0.7}, {"temperature": 0.7}),
    "nothing": ({"eos_token_id": 2}, {"temperature": 0.0}),
    "penalty": ({"repetition_penalty": 1.1}, {"temperature": 0.0, "repetition_penalty": 1.1}),
    "no penalty": ({"repetition_penalty": 1.0}, {"temperature": 0.0}),
}


@pytest.mark.parametrize("kind", SAMPLING)
def test_the_checkpoints_own_sampling(tiny_folder: Path, tmp_path: Path, kind: str) -> None:
    written, read = SAMPLING[kind]
    (tmp_path / "config.json").write_text("{}", "utf-8")
    (tmp_path / "generation_config.json").write_text(json.dumps(written), "utf-8")
    assert model_of(tmp_path).sampling == read


def test_a_checkpoint_without_sampling_settings_says_so(tmp_path: Path) -> None:
    with pytest.raises(OlmesError, match="has no generation_config"):
        _ = model_of(tmp_path).sampling


@pytest.mark.parametrize("shares", [True, False])
def test_what_is_cut_off_is_never_sampled(tiny_folder: Path, answer: Answer, shares: bool) -> None:
    model = model_of(tiny_folder)
    model.__dict__["shares_prefixes"] = shares
    hot = {"temperature": 50.0, "max_tokens": 12}
    greedy, one, near, free = answer(
        model,
        [
            request(max_tokens=12),
            request(**hot, top_k=1),
            request(**hot, min_p=1.0),
            request(**hot),
        ],
    )
    assert one.text == near.text == greedy.text != free.text


@pytest.mark.parametrize("shares", [True, False])
def test_a_penalty_on_repetition_is_that_of_transformers(
    tiny_folder: Path, answer: Answer, shares: bool
) -> None:
    """Row by row, so that no padding is among what is held against a row."""
    import torch
    from transformers import AutoModelForCausalLM

    plain = AutoModelForCausalLM.from_pretrained(tiny_folder).eval()
    model = model_of(tiny_folder)
    model.__dict__["shares_prefixes"] = shares
    texts = ("Why?", "What is the capital of France? Mary has apples.")
    requests = [
        request({"role": "user", "content": text}, max_tokens=10, repetition_penalty=1.7)
        for text in texts
    ]
    for asked, response in zip(requests, answer(model, requests), strict=True):
        ids = list(model.encode(asked).token_ids)
        whole = plain.generate(
            input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), do_sample=False,
            max_new_tokens=10, repetition_penalty=1.7, eos_token_id=sorted(model.ends),
        )  # fmt: skip
        new = whole[0, len(ids) :].tolist()
        assert response.completion_tokens == len(new)
        assert response.text == model.encoder.answer(ids, new)
    unpenalized = answer(model, [request({"role": "user", "content": texts[0]}, max_tokens=10)])
    assert unpenalized[0].text != answer(model, requests)[0].text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"top_k": 0}, "top_k is 0; set it to 1 or more, or to none"),
        ({"min_p": 1.5}, "min_p is 1.5; set it from 0 to 1, or to none"),
        ({"repetition_penalty": 0.0}, "repetition_penalty is 0.0; set it above 0"),
    ],
)
def test_settings_without_a_meaning_are_refused(
    tiny: HFModel, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(OlmesError, match=message):
        tiny.generate([request(**settings)], lambda *_: None)


def test_continuations_are_weighed_behind_the_thought_that_a_template_opens(
    tmp_path: Path, build: Callable[..., Path], answer: Answer
) -> None:
    model = model_of(build(tmp_path, template=BEGINS_INSIDE))
    choices = Request(
        generation=Generation(max_tokens=1), messages=(USER,), continuations=("A", "B")
    )
    assert model.encode(choices).text.endswith("<think>\n\n</think>\n\n")
    assert "weighed behind an empty thought" in next(iter(model.notes))
    [weighed] = answer(model, [choices])
    off = model_of(tmp_path, thinking="off")
    assert weighed.logprobs == answer(off, [choices])[0].logprobs
