"""Rows that run together give what each gives by itself, whatever the architecture does with length."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import architectures
from bench.files.architectures import (
    POSITIONS,
    SWITCH,
    WINDOW,
    build,
    configuration,
    save,
    variants,
)
from olmes.models.hf.model import HFModel
from olmes.models.hf.row_batches import RowBatches, Together
from olmes.types import Generation, Request, Response

TELLING = {
    "llama": "shared",
    "qwen2_moe": "shared",  # has a window, and has it off
    "qwen2_moe window": "padded",  # one that lives in the mask alone
    "mistral window": "padded",
    "llama4_text window": "padded",  # chunks
    "llama4_text tuned": "padded",  # queries scaled by a length that counts the padding
    "deepseek_v32 window": "padded",  # picks the tokens it looks at
    "phi3 longrope": "padded",
    "llama dynamic": "padded",
    "recurrent_gemma": "equal",  # does not read the mask
    "rwkv": "alone",  # nor what is in another row's state
}


@pytest.fixture(autouse=True)
def calm() -> Iterator[None]:
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", TELLING)
def test_rows_give_what_each_gives_alone(name: str) -> None:
    [(_, found)] = architectures.sweep([name], architectures.prompts()[2:8])
    assert (found.way, found.wrong) == (TELLING[name], 0)


@pytest.mark.slow
def test_every_architecture_gives_what_generate_gives() -> None:
    found = dict(architectures.sweep(list(variants())))
    assert {name: one.wrong for name, one in found.items() if one.wrong} == {}
    assert len(found) >= 112
    assert sum(one.way == "shared" for one in found.values()) >= 56


def test_the_check_finds_rows_that_disturb_one_another(tmp_path: Path) -> None:
    folder = save(tmp_path, "rwkv", {})
    model = architectures.load(folder)
    vars(model)["row_batches"] = RowBatches(Together.PADDED)
    assert architectures.measure(model, architectures.prompts()[4:]).wrong > 0


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("llama4_text", {"attention_chunk_size": 300}),
        ("qwen2_moe", {"use_sliding_window": True, "sliding_window": 300, "max_window_layers": 2}),
        ("mistral", {"sliding_window": 300}),
        ("cohere2", {"sliding_window": 300}),
        ("olmo3", {"sliding_window": 300}),
        ("mixtral", {"sliding_window": 300}),
    ],
)
def test_prefixes_are_shared_where_a_bound_is_out_of_reach(
    kind: str, settings: dict[str, object]
) -> None:
    from olmes.models.hf.prompt_cache_support import suits

    model = build(kind, settings)
    assert suits(model, 300)
    assert not suits(model, 301)
    assert not suits(model)


def test_a_window_of_a_model_s_own_making_is_found() -> None:
    """Neither an architecture's name nor a setting's says that the masks are bounded."""
    from transformers import LlamaForCausalLM
    from transformers.masking_utils import create_sliding_window_causal_mask
    from transformers.models.llama import modeling_llama

    from olmes.models.hf.prompt_cache_support import suits

    model = build("llama", {})
    assert isinstance(model, LlamaForCausalLM)
    assert suits(model, POSITIONS)
    model.config.sliding_window = WINDOW
    assert not suits(model, POSITIONS)  # named, though this architecture does not read it
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modeling_llama, "create_causal_mask", create_sliding_window_causal_mask)
        patch.setattr("olmes.models.hf.reach.named", lambda *_: False)
        assert not suits(model, POSITIONS)
        assert suits(model, WINDOW)


def test_a_rotary_embedding_that_follows_the_longest_row_is_found_under_any_name() -> None:
    from olmes.models.hf import reach
    from olmes.models.hf.row_batches import row_batches

    kind, extra = variants()["llama longrope"]
    model = build(kind, extra)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("olmes.models.hf.row_batches.switch_of", lambda _: (None, True))
        assert row_batches(model, 1, POSITIONS).together is Together.EQUAL
        assert row_batches(model, 1, SWITCH).together is Together.PADDED
    assert reach.switch_of(model.config) == (SWITCH, True)


def test_half_precision_is_judged_by_its_own_rounding() -> None:
    import torch

    from olmes.models.hf.row_batches import row_batches

    ways = {}
    for kind in ("mistral", "mixtral", "recurrent_gemma", "rwkv"):
        extra = {} if kind in ("recurrent_gemma", "rwkv") else {"windows": WINDOW}
        model = build(kind, extra).to(torch.bfloat16)
        ways[kind] = row_batches(model, 1, POSITIONS).together.value
    assert ways == {
        "mistral": "padded",
        "mixtral": "padded",
        "recurrent_gemma": "equal",
        "rwkv": "alone",
    }


def test_rows_that_pass_the_switch_do_so_with_rows_of_their_length() -> None:
    rows = [(10, 20), (50, 60), (99, 105), (99, 105), (98, 104), (120, 130), (150, 160)]

    def split(batches: RowBatches) -> list[list[tuple[int, int]]]:
        return batches.split(rows, lambda row: row[0], lambda row: row[1])

    long = split(RowBatches(Together.PADDED, switch=100))
    assert long == [rows[:2], rows[2:4], [rows[4]], rows[5:]]
    dynamic = split(RowBatches(Together.PADDED, switch=100, steady=False))
    assert dynamic == [rows[:2], rows[2:4], [rows[4]], [rows[5]], [rows[6]]]
    assert split(RowBatches(Together.PADDED)) == [rows]
    assert split(RowBatches(Together.EQUAL)) == [
        [rows[0]],
        [rows[1]],
        rows[2:4],
        *([r] for r in rows[4:]),
    ]
    assert split(RowBatches(Together.ALONE)) == [[row] for row in rows]


def test_one_row_needs_no_trial(tmp_path: Path) -> None:
    model: HFModel = architectures.load(save(tmp_path, "rwkv", {}))
    said: dict[int, Response] = {}
    model.generate([Request(generation=Generation(max_tokens=2), prompt="w5 w6")], said.__setitem__)
    assert said[0].completion_tokens > 0
    assert "row_batches" not in vars(model)


@pytest.mark.parametrize("kind", ["gpt_neo", "openai-gpt"])
def test_a_row_that_has_ended_does_not_run_out_of_positions(tmp_path: Path, kind: str) -> None:
    window = {"max_position_embeddings": 40}
    model = architectures.load(save(tmp_path, kind, window))
    texts = [" ".join(f"w{5 + 7 * at}" for at in range(length)) for length in (30, 3, 20, 3)]
    said: dict[int, Response] = {}
    asked = [Request(generation=Generation(max_tokens=40), prompt=text) for text in texts]
    model.generate(asked, said.__setitem__)
    assert model.row_batches.together is Together.PADDED
    for at, request in enumerate(asked):
        alone: dict[int, Response] = {}
        model.generate([request], alone.__setitem__)
        assert said[at] == alone[0]


def test_settings_that_bound_nothing_are_not_taken_for_bounds() -> None:
    from olmes.models.hf.reach import named

    assert not named(configuration("qwen2_moe", {}), POSITIONS)
    assert not named(configuration("llama", {"chunk_size_feed_forward": 8}), POSITIONS)
    assert named(configuration("llama", {"attention_chunk_size": 8}), POSITIONS)
    assert named(configuration("llama", {"layer_types": ["full_attention", "conv"] * 2}), POSITIONS)
