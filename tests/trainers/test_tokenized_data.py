"""Rows as tokens are what TRL's trainers make of them, and are made once for all processes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.trainers.data import labelled_chats, tokenized
from olmes.trainers.data.mixture import making_of
from olmes.trainers.data.tokenized import tokenized_pairs, tokenized_prompts
from olmes.trainers.on_trl.arguments import arguments, load_model, trl
from olmes.trainers.on_trl.dpo import trainer_class as dpo_trainer
from olmes.trainers.on_trl.grpo import fitting
from olmes.trainers.on_trl.sft import build_sft, labelled
from olmes.trainers.templates.encoding import label_chats
from tests.trainers.conftest import Workshop, turns
from tests.trainers.launching import Launcher


def chats(count: int, longest: int = 90) -> list[dict[str, Any]]:
    """Chats of one to three answers of every length."""
    random = Random(1)
    return [
        {
            "messages": [
                turn
                for _ in range(random.randrange(1, 4))
                for turn in turns("q" * random.randrange(1, 40), "a" * random.randrange(1, longest))
            ]
        }
        for _ in range(count)
    ]


@pytest.mark.parametrize("packing", [False, True])
def test_chats_are_cut_and_packed_as_by_trl(
    packing: bool, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasets import Dataset

    workshop.write("sft.jsonl", chats(230))
    monkeypatch.setattr(
        tokenized, "GROUP", 100
    )  # of which a piece holds one, and TRL's map as well
    monkeypatch.setattr(labelled_chats, "GROUP", 100)
    monkeypatch.setattr(tokenized, "PIECE_BYTES", 1)
    prepared = workshop.prepared("sft", packing=packing, hardware={"data_processes": 2})
    chats_of = [row["messages"] for row in prepared.mixture.rows]
    coded = label_chats(prepared.tokenizer, chats_of, prepared.template)
    plain = [(one.ids, one.labels) for one in coded]
    if packing:
        from trl.data_utils import pack_dataset

        parts = [plain[start : start + 100] for start in range(0, 230, 100)]
        theirs = []
        for part in parts:
            columns = {"input_ids": [ids for ids, _ in part], "labels": [held for _, held in part]}
            theirs += list(pack_dataset(Dataset.from_dict(columns), 64, "bfd"))
    else:
        config = trl().SFTConfig(**arguments(prepared.recipe, prepared.out), max_length=64)
        rows = Dataset.from_list([{"input_ids": ids, "labels": held} for ids, held in plain])
        theirs = list(
            trl()
            .SFTTrainer(
                model=load_model(prepared), args=config, train_dataset=rows,
                processing_class=prepared.tokenizer,
            )
            .train_dataset
        )  # fmt: skip
    assert list(labelled(prepared)) == theirs
    assert list(build_sft(prepared).train_dataset) == theirs


def test_pairs_are_tokenized_as_by_trl(workshop: Workshop) -> None:
    rows = [
        {"prompt": "p" * n, "chosen": f"yes {n}", "rejected": f"yes, {n} or more"}
        for n in range(1, 70, 3)
    ]
    several = [{"role": "system", "content": "Be brief."}, *turns("one?", "1")]
    chat = [*several, {"role": "user", "content": "two?"}]
    answers = [{"role": "assistant", "content": text} for text in ("2", "3")]
    rows.append({"chosen": [*chat, answers[0]], "rejected": [*chat, answers[1]]})  # type: ignore[dict-item]
    workshop.write("dpo.jsonl", rows)
    prepared = workshop.prepared("dpo")
    config = trl().DPOConfig(**arguments(prepared.recipe, prepared.out), max_length=64)
    base = dpo_trainer(prepared).__mro__[1]
    theirs = base._prepare_dataset(
        object(), prepared.mixture.rows, prepared.tokenizer, config, "train"
    )
    making = making_of(prepared.recipe, prepared.say)
    ours = tokenized_pairs(prepared.mixture.rows, prepared.tokenizer, prepared.template, 64, making)
    assert 0 < ours.notes["pairs"]["full"] == len(rows) - len(theirs)
    columns = ["prompt_ids", "chosen_ids", "rejected_ids"]
    assert list(ours.rows) == list(theirs.select_columns(columns))


def test_prompts_that_fit_are_kept_in_their_order(workshop: Workshop) -> None:
    prepared = workshop.prepared("rlvr", max_prompt_length=24)
    rows, tokenizer = prepared.mixture.rows, prepared.tokenizer
    making = making_of(prepared.recipe, prepared.say)
    texts = [
        tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, tokenize=False)
        for row in rows
    ]
    ids = [tokenizer(text, add_special_tokens=False).input_ids for text in texts]
    assert tokenized_prompts(rows, tokenizer, making)["input_ids"][:] == ids
    longest = max(map(len, ids))
    assert len(fitting(workshop.prepared("rlvr", max_prompt_length=longest))) == len(rows)
    with pytest.raises(OlmesError, match="every prompt is longer"):
        fitting(workshop.prepared("rlvr", max_prompt_length=min(map(len, ids)) - 1))


def test_tokens_are_made_again_where_they_would_be_others(workshop: Workshop) -> None:
    folder = workshop.folder / "cache/training-data/chats"

    def made(**table: Any) -> int:
        labelled(workshop.prepared("sft", **table))
        return len(list(folder.glob("*/about.json")))

    assert made() == 1
    assert made(optimization={"micro_batch_size": 2}, log_every=3) == 1
    assert made(max_length=32) == 2
    workshop.folder.joinpath("own.jinja").write_text(OWN)
    assert made(template="own.jinja") == 3
    assert made(packing=True) == 4
    assert made(seed=4) == 5
    workshop.write("sft.jsonl", chats(3))
    assert made() == 6


@pytest.mark.parametrize("seed", [3, 4])
def test_a_chat_that_the_template_refuses_is_left_out_and_named(
    seed: int, workshop: Workshop, tmp_path: Path
) -> None:
    (tmp_path / "own.jinja").write_text(OWN)
    rows = chats(60)
    rows[11]["messages"][0]["content"] = "refuse this"
    workshop.write("sft.jsonl", rows)
    prepared = workshop.prepared("sft", template="own.jinja", seed=seed)
    said: list[str] = []
    assert len(labelled(replace(prepared, say=said.append))) == 59
    contents = [row["messages"][0]["content"] for row in prepared.mixture.rows]
    place = contents.index("refuse this") + 1
    [line] = [line for line in said if "left out" in line]
    assert line == (
        "1 of 60 chats left out: the chat template does not take the chat (no!) (first row "
        f"{place} of the mixture, 'refuse this' ...)"
    )
    for row in rows[:12]:
        row["messages"][0]["content"] = "refuse this"
    workshop.write("sft.jsonl", rows)
    with pytest.raises(
        OlmesError, match=r"12 of 60 chats cannot be trained on .*\(no!\) \(first row"
    ):
        labelled(workshop.prepared("sft", template="own.jinja", seed=seed))


OWN = (
    "{% for m in messages %}{% if 'refuse' in m['content'] %}{{ raise_exception('no!') }}{% endif %}"
    "{% if m['role'] == 'assistant' %}{% generation %}{{ m['content'] }}{{ eos_token }}"
    "{% endgeneration %}{% else %}{{ m['content'] }}\n{% endif %}{% endfor %}"
)

RECIPE = """
model = "{model}"
template = "tulu"
max_length = 64
packing = {packing}
[data]
"{stage}.jsonl" = {{ fraction = 1.0 }}
[optimization]
learning_rate = 1e-3
batch_size = 8
micro_batch_size = 4
max_steps = 3
[hardware]
device = "cpu"
processes = 2
data_processes = 1
"""


@pytest.mark.slow
@pytest.mark.parametrize("packing", ["false", "true"])
def test_processes_train_alike_with_one_cache_and_with_one_each(
    packing: str, workshop: Workshop, launcher: Launcher
) -> None:
    folder = workshop.folder
    weights = []
    for name, own in (("shared", ["c", "c"]), ("apart", ["c0", "c1"])):
        recipe = folder / f"{name}.toml"
        recipe.write_text(RECIPE.format(model=workshop.model, stage="sft", packing=packing))
        caches = [{"OLMES_CACHE": str(folder / f"{name}-{cache}")} for cache in own]
        launcher.start(["train", "sft", recipe], folder, processes=2, own=caches).good()
        made = list(folder.glob(f"{name}-c*/training-data/chats/*/about.json"))
        assert len(made) == len(set(own))
        assert json.loads(made[0].read_text("utf-8"))["rows"]
        weights.append((folder / f"trained/{name}/final/model.safetensors").read_bytes())
    assert weights[0] == weights[1]
