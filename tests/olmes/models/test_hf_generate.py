"""Generation by transformers: what goes in, when a row ends, what is reported and when."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from olmes.errors import OlmesError
from olmes.models.base import Work
from olmes.models.checkpoint.folder import LocalCheckpoint
from olmes.models.hf.batches import run_in_batches
from olmes.models.hf.model import HFModel
from olmes.types import Generation, Request

if TYPE_CHECKING:
    from olmes.types import Response

QUESTIONS = [
    "What is the capital of France?",
    "Mary",
    "If Mary had 3 apples and bought 12 more, how many apples does she have? " * 3,
    "How many people are on the river?",
    "Question: a\n\nAnswer: b",
    "12",
]


def model_of(folder: Any, **options: Any) -> HFModel:
    return HFModel("tiny", LocalCheckpoint(folder), **{"device": "cpu", "batch_size": 4, **options})


def direct_greedy(model: HFModel, ids: list[int], max_tokens: int) -> list[int]:
    """Greedy decoding written out: no batch, no padding, no cache, no `generate`."""
    import torch

    new: list[int] = []
    while len(new) < max_tokens and not (new and new[-1] in model.ends):
        with torch.inference_mode():
            logits = model.weights(torch.tensor([ids + new])).logits[0, -1]
        new.append(int(logits.argmax()))
    return new


def test_batched_greedy_is_greedy_decoding(
    tiny: HFModel, chat: Callable[..., Request], answer: Callable[..., list[Response]]
) -> None:
    requests = [chat(text) for text in QUESTIONS]
    for request, response in zip(requests, answer(tiny, requests), strict=True):
        prompt = tiny.encode(request)
        new = direct_greedy(tiny, list(prompt.token_ids), 12)
        assert response.text == tiny.encoder.tokenizer.decode(new, skip_special_tokens=True)
        assert response.completion_tokens == len(new)
        assert response.prompt_tokens == len(prompt.token_ids)
        assert response.finish == ("stop" if new[-1] in tiny.ends else "length")
        assert response.prompt_truncated == 0


def test_text_is_cut_at_the_first_stop_string(
    tiny: HFModel, chat: Callable[..., Request], answer: Callable[..., list[Response]]
) -> None:
    [full] = answer(tiny, [chat(QUESTIONS[0], max_tokens=30)])
    stop = full.text[9:14]
    assert stop not in full.text[:13]
    stops = ("nowhere", full.text[11:16], stop)
    [response] = answer(tiny, [chat(QUESTIONS[0], max_tokens=30, stop=stops)])
    assert response.text == full.text[:9]
    assert response.finish == "stop"
    assert response.completion_tokens < full.completion_tokens


def test_a_stop_string_in_the_prompt_ends_nothing(
    tiny: HFModel, chat: Callable[..., Request], answer: Callable[..., list[Response]]
) -> None:
    [full, stopped] = answer(
        tiny, [chat(QUESTIONS[0]), chat(QUESTIONS[0], stop=("France", "assistant"))]
    )
    assert stopped == full


def test_stop_strings_end_their_own_row_only(
    tiny: HFModel, chat: Callable[..., Request], answer: Callable[..., list[Response]]
) -> None:
    [first, second] = answer(tiny, [chat(text, max_tokens=30) for text in QUESTIONS[:2]])
    stop = first.text[6:10]
    assert stop not in second.text
    stopped = answer(tiny, [chat(text, max_tokens=30, stop=(stop,)) for text in QUESTIONS[:2]])
    assert stopped[0].text == first.text[: first.text.index(stop)]
    assert stopped[1].text == second.text


def test_rows_with_other_settings_run_together(
    tiny_folder: Path, chat: Callable[..., Request], answer: Callable[..., list[Response]]
) -> None:
    model = model_of(tiny_folder, batch_size=5)
    settings: list[dict[str, Any]] = [
        {"max_tokens": 3},
        {"max_tokens": 9},
        {"max_tokens": 9, "stop": ("ppl",)},
        {"max_tokens": 9, "temperature": 5.0},
        {"max_tokens": 9, "temperature": 5.0, "top_p": 0.6},
    ]
    alone = [answer(model, [chat("12", **one)])[0] for one in settings]
    sizes = count_forwards(model)
    assert answer(model, [chat("12", **one) for one in settings]) == alone
    # The fill gives each row its first token, and every step one more to those that go on.
    going_on = [sum(r.completion_tokens > step for r in alone) for step in range(9)]
    assert sizes == going_on
    assert going_on[1] == 5
    assert len({response.text for response in alone}) == 5


def test_a_row_is_reported_in_the_step_that_ends_it(
    tiny_folder: Path,
    chat: Callable[..., Request],
    answer: Callable[..., list[Response]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = model_of(tiny_folder)
    [full] = answer(model, [chat(QUESTIONS[0], max_tokens=30)])
    stop = full.text[3:8]
    requests = [chat(text, max_tokens=30, stop=(stop,)) for text in QUESTIONS[:2]]
    steps, reported = count_forwards(model), {}
    model.generate(
        requests, lambda index, response: reported.update({index: (len(steps), response)})
    )
    at, response = reported[0]
    assert response.completion_tokens == at < len(steps)
    assert reported[1][0] == len(steps)


def count_forwards(model: HFModel, most: int | None = None) -> list[int]:
    """Make `forward` note how many rows it is for, and be out of memory above `most` rows."""
    import torch

    _ = model.shares_prefixes  # tried out now, so that the trial is not counted
    sizes: list[int] = []
    forward = model.weights.forward

    @functools.wraps(forward)
    def counted(*args: Any, **kwargs: Any) -> Any:
        ids = kwargs["input_ids"] if "input_ids" in kwargs else args[0]
        rows = getattr(kwargs.get("cache", kwargs.get("past_key_values")), "rows", ids.shape[0])
        if most is not None and rows > most:
            raise torch.OutOfMemoryError("Tried to allocate 3.00 GiB")
        sizes.append(rows)
        return forward(*args, **kwargs)

    model.weights.forward = counted
    return sizes


def test_out_of_memory_halves_the_batch_and_goes_on(
    tiny_folder: Path,
    tiny: HFModel,
    chat: Callable[..., Request],
    answer: Callable[..., list[Response]],
) -> None:
    model = model_of(tiny_folder, batch_size=6)
    sizes = count_forwards(model, most=2)
    requests = [chat(text) for text in QUESTIONS]
    assert [r.text for r in answer(model, requests)] == [r.text for r in answer(tiny, requests)]
    assert max(sizes) <= 2


def test_a_row_that_does_not_fit_alone_fails_alone(
    tiny_folder: Path, chat: Callable[..., Request], answer: Callable[..., list[Response]]
) -> None:
    import torch

    model = model_of(tiny_folder, batch_size=6)
    assert model.shares_prefixes
    forward = model.weights.forward

    @functools.wraps(forward)
    def greedy_for_memory(*args: Any, **kwargs: Any) -> Any:
        if int(kwargs["position_ids"].max()) > 60:
            raise RuntimeError(
                "[enforce fail] DefaultCPUAllocator: can't allocate memory: 99 bytes"
            )
        return forward(*args, **kwargs)

    model.weights.forward = greedy_for_memory
    responses = answer(model, [chat(text) for text in QUESTIONS])
    assert [r.finish == "error" for r in responses] == [False, False, True, False, False, False]
    assert "out of memory" in responses[2].error
    assert torch.is_grad_enabled()


def test_other_faults_are_not_taken_for_want_of_memory(
    tiny_folder: Path, chat: Callable[..., Request]
) -> None:
    model = model_of(tiny_folder)

    @functools.wraps(model.weights.forward)
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    model.weights.forward = broken
    with pytest.raises(RuntimeError, match="mat1"):
        model.generate([chat("a")], lambda *_: None)


def test_finished_rows_of_a_failed_batch_are_not_run_again() -> None:
    class GenerationRow:
        finished = False

    rows, ran = [GenerationRow() for _ in range(4)], []

    def work(batch: list[GenerationRow]) -> None:
        ran.append([rows.index(row) for row in batch])
        for row in batch[:1]:
            row.finished = True
        if len(batch) > 2:
            raise MemoryError
        for row in batch:
            row.finished = True

    run_in_batches(rows, 4, work, lambda *_: pytest.fail("all fit"))
    assert ran == [[0, 1, 2, 3], [1, 2], [3]]


def test_long_prompts_are_cut_from_the_left(
    tiny_folder: Path, chat: Callable[..., Request], answer: Callable[..., list[Response]]
) -> None:
    model = model_of(tiny_folder, max_length=60)
    request = chat(QUESTIONS[2])
    ids = model.encode(request).token_ids
    [response] = answer(model, [request])
    assert response.prompt_tokens == 60 - 12
    assert response.prompt_truncated == len(ids) - 48 > 0
    new = direct_greedy(model, list(ids[-48:]), 12)
    assert response.text == model.encoder.tokenizer.decode(new, skip_special_tokens=True)


def test_a_limit_above_the_window_means_what_there_is_room_for(
    tiny_folder: Path, chat: Callable[..., Request], answer: Callable[..., list[Response]]
) -> None:
    model = model_of(tiny_folder, max_length=60)
    short, long = chat(QUESTIONS[1], max_tokens=4096), chat(QUESTIONS[2], max_tokens=4096)
    fits, too_long = answer(model, [short, long])
    assert fits.prompt_truncated == 0
    assert fits.prompt_tokens + fits.completion_tokens <= 60
    assert fits.completion_tokens > 12
    assert too_long.finish == "error"
    assert "60" in too_long.error


def test_the_models_own_window_counts(tiny_folder: Path) -> None:
    assert model_of(tiny_folder).window == 256
    assert model_of(tiny_folder, max_length=1000).window == 256
    with pytest.raises(OlmesError, match="max_length is 0"):
        _ = model_of(tiny_folder, max_length=0).window


def test_decoding_settings_of_the_checkpoint_do_not_leak_in(
    tmp_path: Path,
    build: Callable[..., Path],
    tiny: HFModel,
    chat: Callable[..., Request],
    answer: Callable[..., list[Response]],
) -> None:
    folder = build(
        tmp_path,
        decoding={
            "do_sample": True,
            "temperature": 9.0,
            "top_k": 3,
            "repetition_penalty": 50.0,
            "min_new_tokens": 12,
            "max_length": 7,
            "suppress_tokens": list(range(100)),
            "no_repeat_ngram_size": 1,
        },
    )
    requests = [chat(text) for text in QUESTIONS]
    ours = answer(model_of(folder), requests)
    assert ours == answer(tiny, requests)
    assert model_of(folder).fingerprint == tiny.fingerprint


def test_every_end_of_sequence_token_ends(
    tmp_path: Path,
    build: Callable[..., Path],
    tiny: HFModel,
    chat: Callable[..., Request],
    answer: Callable[..., list[Response]],
) -> None:
    [full] = answer(tiny, [chat(QUESTIONS[0], max_tokens=20)])
    ids = direct_greedy(tiny, list(tiny.encode(chat(QUESTIONS[0])).token_ids), 20)
    end = next(token for token in ids[4:] if token not in ids[:4])
    model = model_of(build(tmp_path, decoding={"eos_token_id": [0, end]}))
    [response] = answer(model, [chat(QUESTIONS[0], max_tokens=20)])
    assert response.finish == "stop"
    assert response.completion_tokens == ids.index(end) + 1 < full.completion_tokens
    assert model.ends == {0, end, model.encoder.tokenizer.eos_token_id}
    assert model.fingerprint != tiny.fingerprint


def test_a_stop_string_that_is_a_special_token_ends_too(
    tiny: HFModel, chat: Callable[..., Request], answer: Callable[..., list[Response]]
) -> None:
    """`skip_special_tokens` takes it out of the text, where it could not be found."""
    import torch

    request = chat(QUESTIONS[0], max_tokens=20, stop=("<|endoftext|>",))
    head = tiny.weights.lm_head
    ids = direct_greedy(tiny, list(tiny.encode(request).token_ids), 20)
    handle = head.register_forward_hook(
        # Token 0 wins wherever the sixth greedy token would have.
        lambda _m, _i, out: out.index_copy(-1, torch.tensor([0]), out[..., [ids[5]]] + 1.0)
    )
    try:
        [response] = answer(tiny, [request])
        [without] = answer(tiny, [chat(QUESTIONS[0], max_tokens=20)])
    finally:
        handle.remove()
    assert response.finish == "stop"
    assert without.completion_tokens > response.completion_tokens
    assert "<|endoftext|>" not in response.text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"temperature": -1.0}, "temperature is -1"),
        ({"top_p": 1.5}, "top_p is 1.5"),
    ],
)
def test_settings_out_of_range_are_refused(
    tiny: HFModel, chat: Callable[..., Request], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(OlmesError, match=message):
        tiny.generate([chat("a", **settings)], lambda *_: None)


def test_a_chat_that_the_template_refuses_fails_alone(
    tmp_path: Path,
    build: Callable[..., Path],
    chat: Callable[..., Request],
    answer: Callable[..., list[Response]],
) -> None:
    template = (
        "{% for m in messages %}{% if m['role'] == 'assistant' %}{{ raise_exception('no more') }}"
        "{% endif %}{{ m['content'] }}{% endfor %}"
    )
    model = model_of(build(tmp_path, template=template))
    refused = Request(
        generation=Generation(max_tokens=3), messages=({"role": "assistant", "content": "x"},)
    )
    bad, good = answer(model, [refused, chat("abc", max_tokens=3)])
    assert bad.finish == "error"
    assert "no more" in bad.error
    assert good.completion_tokens == 3
    with pytest.raises(OlmesError, match="no more"):
        model.encode(refused)


def test_an_empty_prompt_starts_from_the_tokenizers_own_token(
    tiny: HFModel, answer: Callable[..., list[Response]]
) -> None:
    empty = Request(generation=Generation(max_tokens=3), prompt="")
    assert tiny.encode(empty).token_ids == (tiny.encoder.tokenizer.eos_token_id,)
    [response] = answer(tiny, [empty])
    assert response.prompt_tokens == 1


def test_nothing_is_shown_while_it_works(
    tiny_folder: Path, chat: Callable[..., Request], capfd: pytest.CaptureFixture[str]
) -> None:
    model = model_of(tiny_folder)
    model.generate([chat("a"), chat("b", temperature=0.7, top_p=0.5)], lambda *_: None)
    assert capfd.readouterr() == ("", "")


def test_closing_frees_the_weights(
    tiny_folder: Path, chat: Callable[..., Request], answer: Callable[..., list[Response]]
) -> None:
    model = model_of(tiny_folder)
    before = answer(model, [chat("a")])
    model.close()
    assert "weights" not in vars(model)
    assert answer(model, [chat("a")]) == before
    model.close()
    model.close()


def test_a_stop_string_ends_a_row_wherever_it_ends_in_a_token(tiny: HFModel) -> None:
    """Every stop string of three characters in a text, against looking at the whole text."""
    from array import array

    from olmes.models.hf.endings import Endings
    from olmes.models.hf.generation_rows import GenerationRow

    text = "Paris has 15 apples: naïve café -> (B).\nAnswer <|x|> two million"
    ids = list(tiny.encoder.tokens(text))
    ended: list[GenerationRow] = []
    endings = Endings(tiny.encoder, tiny.ends, Work(), lambda row, _: ended.append(row))
    for at in range(len(text) - 3):
        stop = text[at : at + 3]
        ended.clear()
        generation = Generation(max_tokens=999, stop=(stop,))
        row = GenerationRow(0, array("i", [5]), 0, generation, 999, 0)
        while not row.finished:
            endings.add(row, ids[len(row.new_ids)])
        assert stop in tiny.encoder.answer(row.prompt_ids, row.new_ids)
        assert stop not in tiny.encoder.answer(row.prompt_ids, row.new_ids[:-1])
        assert ended == [row]
