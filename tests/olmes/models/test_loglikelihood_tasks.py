"""Bundled tasks that weigh continuations, on the embedded model: what is shared is computed once."""

from __future__ import annotations

from collections.abc import Callable
from math import exp
from typing import TYPE_CHECKING, Any

import pytest

from olmes.benchmark import prompts
from olmes.benchmark.registry import load_task
from olmes.data.resolve import resolve
from olmes.models.chat.form import ChatForm
from olmes.models.hf.encoding import Encoder
from olmes.models.hf.model import HFModel
from olmes.types import Generation, Request

if TYPE_CHECKING:
    from olmes.types import Response

Answer = Callable[..., "list[Response]"]


def requests_of(name: str, places: list[int]) -> list[Request]:
    task = load_task(name)
    instances = resolve(task, say=lambda line: None).instances
    return [task.request(instances[place].doc) for place in places]


@pytest.fixture
def tokens_read(smollm2: HFModel) -> Any:
    """How many tokens each forward pass has been given."""
    read: list[int] = []
    assert smollm2.shares_prefixes  # found out by a few passes of its own

    def note(module: Any, given: Any, made: Any) -> None:
        read.append(given[0].numel())

    hook = smollm2.weights.get_input_embeddings().register_forward_hook(note)
    yield read
    hook.remove()


# Of MMLU three items of each of two subjects, which have five exemplars in common.
@pytest.mark.parametrize(
    ("name", "places"), [("mmlu_mc", [0, 1, 2, 8, 9, 10]), ("truthfulqa", [0, 1, 2])]
)
def test_what_prompts_share_is_computed_once(
    name: str,
    places: list[int],
    smollm2: HFModel,
    answer: Answer,
    tokens_read: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    requests = requests_of(name, places)
    responses = answer(smollm2, requests)
    texts = [
        smollm2.encoder.with_continuation(smollm2.encode(request), text)[0][:-1]
        for request in requests
        for text in request.continuations
    ]
    distinct = len({ids[:end] for ids in texts for end in range(1, len(ids) + 1)})
    # Padding aside; row by row it would be many times as many.
    assert distinct <= sum(tokens_read) <= 1.25 * distinct
    assert sum(map(len, texts)) > 5 * sum(tokens_read)
    for request, response in zip(requests, responses, strict=True):
        assert len(response.logprobs) == len(request.continuations)
        assert 0 < sum(map(exp, response.logprobs)) < 1


@pytest.mark.slow
def test_in_plain_text_a_blank_stands_behind_the_cue(smollm2: HFModel) -> None:
    """A chat's turn begins without one; the exemplars of the plain text show "Answer: A"."""
    tokenizer = smollm2.encoder.tokenizer
    chat, plain = (Encoder("x", tokenizer, form=ChatForm(plain=plain)) for plain in (False, True))
    turns = prompts.chat("Question: Which?\nAnswer:")
    request = Request(
        generation=Generation(max_tokens=1),
        messages=turns,
        continuations=("A", " B", ""),
    )
    assert chat.continuations(request, chat.encode(request)) == ["A", " B", ""]
    assert plain.continuations(request, plain.encode(request)) == [" A", " B", ""]
    whole = Request(generation=Generation(max_tokens=1), prompt="Answer:", continuations=("A",))
    assert plain.continuations(whole, plain.encode(whole)) == ["A"]
