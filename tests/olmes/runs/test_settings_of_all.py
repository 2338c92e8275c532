"""Settings of all tasks, and what a model's own ways change of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from olmes import OlmesError
from olmes.benchmark.registry import load_task
from olmes.benchmark.task import Task
from olmes.cli.options import text_or_file
from olmes.models.base import Done, EncodedPrompt, Model
from olmes.runs.options import RunOptions
from olmes.runs.planning import fitted, with_settings
from olmes.types import JsonObject, Request


class Thinker(Model):
    """A model made up for these tests: it says of itself that it thinks, and answers nothing."""

    name = "thinker"
    batch_size = 1
    cacheable = False
    fingerprint = "f" * 64
    window = None
    encoding = "text"
    engine: JsonObject = {}  # noqa: RUF012
    thinks = True
    sampling: JsonObject = {"temperature": 0.6, "top_p": 0.95, "top_k": 20}  # noqa: RUF012

    def encode(self, request: Request) -> EncodedPrompt:
        raise NotImplementedError

    def generate(self, requests: Sequence[Request], done: Done) -> None:
        raise NotImplementedError

    def loglikelihood(self, requests: Sequence[Request], done: Done) -> None:
        raise NotImplementedError


def tasks(*names: str) -> list[Task]:
    return [load_task(name) for name in names]


def test_what_is_said_of_a_task_alone_goes_before_what_is_said_of_all() -> None:
    gsm8k, ifeval = with_settings(
        tasks("gsm8k", "ifeval"),
        {"ifeval.temperature": "0.2", "*.temperature": "0.6", "*.n": "4"},
    )
    assert gsm8k.formulation.generation.temperature == 0.6
    assert ifeval.formulation.generation.temperature == 0.2
    assert gsm8k.formulation.generation.n == ifeval.formulation.generation.n == 4


def test_a_setting_of_all_is_set_where_it_is_read() -> None:
    gsm8k, href = with_settings(tasks("gsm8k", "href"), {"*.shots": "2"})
    assert gsm8k.formulation.shots == 2
    assert not href.settings
    with pytest.raises(OlmesError, match="none of href reads this field"):
        with_settings(tasks("href"), {"*.shots": "2"})
    with pytest.raises(OlmesError, match="does not read this field"):
        with_settings(tasks("gsm8k", "href"), {"*.shots": "2", "href.shots": "2"})


@pytest.mark.parametrize("key", ["*", "*.", "other.n", "n"])
def test_a_key_that_names_nothing_is_refused(key: str) -> None:
    with pytest.raises(OlmesError, match=r"write TASK\.FIELD=VALUE"):
        with_settings(tasks("gsm8k"), {key: "2"})


def test_a_prefill_is_left_out_of_a_model_that_thinks_and_that_is_said() -> None:
    plain = tasks("gsm8k", "agieval")
    prefilled = [task.name for task in plain if task.formulation.prefill]
    assert prefilled
    chosen, notes = fitted(plain, Thinker(), "task")
    assert not any(task.formulation.prefill for task in chosen)
    assert [task.name for task in chosen if task.settings] == prefilled
    assert notes == [
        f"{', '.join(prefilled)}: the prefill is left out, because this model thinks before it "
        "answers and would read it inside its thought; --thinking off keeps it."
    ]


def test_the_checkpoints_own_sampling_is_a_setting_of_all() -> None:
    chosen, notes = fitted(tasks("gsm8k", "ifeval"), Thinker(), "model")
    for task in chosen:
        generation = task.formulation.generation
        assert (generation.temperature, generation.top_p, generation.top_k) == (0.6, 0.95, 20)
        assert task.settings
    (cooler,) = with_settings(tasks("gsm8k"), {"gsm8k.temperature": "0.1"})
    (given,), _ = fitted([cooler], Thinker(), "model")
    assert (given.formulation.generation.temperature, given.formulation.generation.top_k) == (
        0.1,
        20,
    )
    with pytest.raises(OlmesError, match="--sampling models"):
        RunOptions(sampling="models")  # type: ignore[arg-type]
    assert notes[0] == (
        "sampled as the checkpoint's generation_config says: temperature=0.6, top_p=0.95, top_k=20."
    )


def test_settings_change_the_hash_and_their_absence_does_not() -> None:
    task = load_task("ifeval")
    changed = [
        {"system": "Be brief."}, {"reasoning": "verbatim"}, {"top_k": "5"}, {"min_p": "0.1"},
        {"repetition_penalty": "1.1"},
    ]  # fmt: skip
    hashes = {task.with_settings(one).formulation_hash for one in changed}
    assert len({task.formulation_hash, *hashes}) == len(changed) + 1
    for field in ("system", "reasoning"):
        assert field not in task.formulation.to_json()
    for field in ("top_k", "min_p", "repetition_penalty"):
        assert field not in task.formulation.generation.to_json()


def test_a_system_turn_is_a_text_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "system.txt"
    file.write_text("\ufeffBe brief.\n", "utf-8")
    assert text_or_file(str(file), "--system") == "Be brief.\n"
    for text in ("Be brief.", "brief", "x" * 5000, "Answer yes/no.", ""):
        assert text_or_file(text, "--system") == text
    for path in ("./nothing.txt", "prompts/system", str(tmp_path / "no"), "system.jinja"):
        with pytest.raises(OlmesError, match="there is no such file"):
            text_or_file(path, "--system")
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OlmesError, match="not UTF-8"):
        text_or_file(str(file), "--system")
