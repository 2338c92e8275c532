"""Continuous batching over shared prefixes: the tokens of plain greedy decoding, less work."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from olmes.models.base import Work
from olmes.models.checkpoint.folder import LocalCheckpoint
from olmes.models.hf import continuous, prefix
from olmes.models.hf.model import HFModel
from olmes.types import Generation, Request
from tests.known import known

if TYPE_CHECKING:
    from olmes.types import Response

SHOTS = "Question: How many apples does Mary have?\nAnswer: Mary has 15 apples.\n\n" * 3
OTHER = "Paris is the capital of France, a city of two million people on the river Seine. " * 3
QUESTIONS = ["Mary", "What is the capital?", "12 apples", "Seine", "a b c d e f g", "If", "x" * 30]


def model_of(folder: Any, **options: Any) -> HFModel:
    return HFModel("tiny", LocalCheckpoint(folder), **{"device": "cpu", "batch_size": 4, **options})


def requests_of(prefixes: list[str], **settings: Any) -> list[Request]:
    """A request a question and prefix, with limits that differ."""
    return [
        Request(
            generation=Generation(**{"max_tokens": 3 + 5 * (at % 4), **settings}),
            prompt=start + question,
        )
        for start in prefixes
        for at, question in enumerate(QUESTIONS)
    ]


def greedy(model: HFModel, request: Request) -> list[int]:
    """No batch, no padding, no cache, no `generate`."""
    import torch

    ids = list(model.encode(request).token_ids)
    new: list[int] = []
    while len(new) < request.generation.max_tokens and not (new and new[-1] in model.ends):
        with torch.inference_mode():
            new.append(int(model.weights(torch.tensor([ids + new])).logits[0, -1].argmax()))
    return new


def watch(model: HFModel) -> list[tuple[str, int]]:
    """The passes through the model from now on: kind and tokens."""
    passes: list[tuple[str, int]] = []
    assert model.shares_prefixes
    forward = model.weights.forward

    @functools.wraps(forward)
    def watched(**kwargs: Any) -> Any:
        kind = type(kwargs.get("cache", kwargs.get("past_key_values"))).__name__
        passes.append((kind, kwargs["input_ids"].shape[1]))
        return forward(**kwargs)

    model.weights.forward = watched
    return passes


@pytest.mark.parametrize("prefixes", [[SHOTS, OTHER, ""], [SHOTS, SHOTS + OTHER]])
def test_shared_prefixes_change_no_token(
    tiny_folder: Path, tiny: HFModel, answer: Callable[..., list[Response]], prefixes: list[str]
) -> None:
    requests = requests_of(prefixes)
    random.Random(0).shuffle(requests)
    expected = [greedy(tiny, request) for request in requests]
    for size in (4, None):
        found = answer(model_of(tiny_folder, batch_size=size), requests)
        decode = tiny.encoder.tokenizer.decode
        assert [r.text for r in found] == [decode(e, skip_special_tokens=True) for e in expected]
        assert [r.completion_tokens for r in found] == list(map(len, expected))


def test_the_prefix_is_computed_once(
    tiny_folder: Path, answer: Callable[..., list[Response]]
) -> None:
    model = model_of(tiny_folder)
    requests = requests_of([SHOTS])
    prompts = [model.encode(request).token_ids for request in requests]
    passes = watch(model)
    found = answer(model, requests)
    shared = len(model.encoder.tokens(SHOTS))
    filled = sum(tokens for kind, tokens in passes if kind == "Fill")
    assert filled <= shared + sum(len(prompt) - shared for prompt in prompts) + len(prompts)
    assert filled < sum(map(len, prompts)) / 3
    # The fill gives each row its first token, and no step is computed for a row that has ended.
    steps = sum(tokens for kind, tokens in passes if kind == "Step")
    assert steps == sum(response.completion_tokens - 1 for response in found)


def test_a_row_that_ends_makes_room_at_once(
    tiny_folder: Path, answer: Callable[..., list[Response]]
) -> None:
    model = model_of(tiny_folder, batch_size=2)
    lengths = [2, 2, 2, 2, 2, 2, 20]  # the last prompt is the longest and goes first
    requests = [
        Request(generation=Generation(max_tokens=limit), prompt=text)
        for limit, text in zip(lengths, QUESTIONS, strict=True)
    ]
    passes = watch(model)
    found = answer(model, requests)
    assert [r.completion_tokens for r in found] == lengths
    # Batches of two that wait for their longest would take 19 steps for the first and 1 for each
    # of the other three; here all six short rows pass beside the long one.
    assert len([kind for kind, _ in passes if kind == "Step"]) == 19


def test_repeats_fork_after_one_fill(
    tiny_folder: Path, answer: Callable[..., list[Response]]
) -> None:
    model = model_of(tiny_folder, batch_size=8)
    generation = Generation(max_tokens=6, temperature=2.0, n=3)
    requests = [
        Request(generation=generation, prompt="What is the capital?", repeat=repeat)
        for repeat in range(3)
    ]
    passes = watch(model)
    found = answer(model, requests)
    assert passes[0] == ("Fill", len(model.encode(requests[0]).token_ids))
    assert [kind for kind, _ in passes].count("Fill") == 1
    assert len({response.text for response in found}) == 3


def test_a_slot_that_grows_keeps_what_it_holds(
    tiny_folder: Path,
    tiny: HFModel,
    answer: Callable[..., list[Response]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(continuous, "GROWTH", 2)
    requests = requests_of([SHOTS], max_tokens=20)
    found = answer(model_of(tiny_folder), requests)
    for request, response in zip(requests, found, strict=True):
        new = greedy(tiny, request)
        assert response.text == tiny.encoder.tokenizer.decode(new, skip_special_tokens=True)


def test_few_cached_tokens_mean_few_rows_at_once(
    tiny_folder: Path,
    tiny: HFModel,
    chat: Callable[..., Request],
    answer: Callable[..., list[Response]],
) -> None:
    from olmes.models.hf.continuous import BatchLimits, generate_stream
    from olmes.models.hf.endings import Endings
    from olmes.models.hf.generation_rows import fit
    from olmes.models.hf.prompt_cache_support import limits

    assert limits(tiny.weights, 3).rows == 3
    assert limits(tiny.weights, None).tokens > 10_000
    model = model_of(tiny_folder)
    passes = watch(model)
    rows = [fit(at, r, model.encode(r), None) for at, r in enumerate(map(chat, QUESTIONS))]
    need = max(len(row.prompt_ids) + row.max_tokens for row in rows)
    done: dict[int, Any] = {}
    endings = Endings(model.encoder, model.ends, Work(), lambda row, r: done.update({row.index: r}))
    generate_stream(model.weights, rows, BatchLimits(99, 2 * need), endings, lambda *_: None)
    assert max(tokens for kind, tokens in passes if kind == "Step") <= 3  # short rows need less
    expected = answer(tiny, list(map(chat, QUESTIONS)))
    assert [done[at] for at in range(len(rows))] == expected


def test_one_long_row_does_not_hold_its_length_in_every_slot(
    tiny_folder: Path,
    tiny: HFModel,
    chat: Callable[..., Request],
    answer: Callable[..., list[Response]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The cache of all slots stays within the limit, while a long row runs and when it has ended."""
    from olmes.models.hf.continuous import BatchLimits, generate_stream
    from olmes.models.hf.endings import Endings
    from olmes.models.hf.generation_rows import fit
    from olmes.models.hf.prompt_cache import SlotStore, Step

    monkeypatch.setattr(continuous, "GROWTH", 2)
    held: list[int] = []

    def step(store: SlotStore, *arguments: Any) -> Step:
        held.append(store.slots * store.capacity)
        return Step(store, *arguments)

    monkeypatch.setattr(continuous, "Step", step)
    model = model_of(tiny_folder)
    texts = [QUESTIONS[at % len(QUESTIONS)] for at in range(24)]
    requests = [chat(text, max_tokens=96 if at == 3 else 4) for at, text in enumerate(texts)]
    rows = [fit(at, one, model.encode(one), None) for at, one in enumerate(requests)]
    longest = max(len(row.prompt_ids) + row.max_tokens for row in rows)
    done: dict[int, Any] = {}
    endings = Endings(model.encoder, model.ends, Work(), lambda row, r: done.update({row.index: r}))
    limits = BatchLimits(99, 3 * longest)
    generate_stream(model.weights, rows, limits, endings, lambda *_: None)
    assert len(rows[3].new_ids) > 30  # else this tries nothing
    assert max(held) <= limits.tokens
    assert [done[at] for at in range(len(rows))] == answer(tiny, requests)


def test_groups_are_freed_when_their_rows_are_done(
    tiny_folder: Path, answer: Callable[..., list[Response]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[prefix.PrefixGroup] = []
    build = prefix.prefix_groups

    def kept(sequences: Any) -> Any:
        groups = build(sequences)
        made.extend({one for one in groups if one})
        return groups

    monkeypatch.setattr(continuous, "prefix_groups", kept)
    answer(model_of(tiny_folder), requests_of([SHOTS, OTHER]))
    assert [(group.waiting, group.states) for group in made] == [(0, [])] * 2


def test_out_of_memory_goes_on_with_half_and_keeps_what_is_done(
    tiny_folder: Path, tiny: HFModel, answer: Callable[..., list[Response]]
) -> None:
    import torch

    model = model_of(tiny_folder, batch_size=6)
    passes = watch(model)
    forward = model.weights.forward

    @functools.wraps(forward)
    def small(**kwargs: Any) -> Any:
        if len(passes) > 8 and known(kwargs.get("cache", kwargs.get("past_key_values"))).rows > 2:
            raise torch.OutOfMemoryError("Tried to allocate 3.00 GiB")
        return forward(**kwargs)

    model.weights.forward = small
    requests = requests_of([SHOTS, OTHER])
    assert answer(model, requests) == answer(tiny, requests)
    assert max(tokens for kind, tokens in passes[9:] if kind == "Step") <= 2


@pytest.mark.model
@pytest.mark.slow
def test_the_embedded_model_gives_the_tokens_of_generate(
    smollm2: HFModel, answer: Callable[..., list[Response]]
) -> None:
    """Where batch arithmetic flips a choice, the two tokens were equally likely to within noise."""
    import torch

    from olmes.benchmark.registry import load_task
    from olmes.tasks.gsm8k import worked_examples

    task = load_task("gsm8k")
    requests = [
        Request(
            generation=Generation(max_tokens=24),
            messages=task.request({"question": shot["question"]}).messages[-6:],
            prefill="Answer:",
        )
        for shot in worked_examples()[:6]
    ]
    for request, response in zip(requests, answer(smollm2, requests), strict=True):
        prompt = torch.tensor([smollm2.encode(request).token_ids])
        with torch.inference_mode():
            [ids] = smollm2.weights.generate(prompt, max_new_tokens=24, do_sample=False)
        plain = ids[prompt.shape[1] :].tolist()
        text = smollm2.encoder.answer(prompt[0].tolist(), plain)
        if response.text == text:
            continue
        ours = smollm2.encoder.tokenizer(response.text, add_special_tokens=False)["input_ids"]
        at = next(i for i, (a, b) in enumerate(zip(plain, ours, strict=False)) if a != b)
        with torch.inference_mode():
            logs = smollm2.weights(ids[None, : prompt.shape[1] + at]).logits[0, -1].log_softmax(-1)
        assert abs(float(logs[plain[at]] - logs[ours[at]])) < 1e-3
