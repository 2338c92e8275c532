"""The response cache: what its key holds, and that its failure never stops a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from olmes.models.base import Done, EncodedPrompt, Model
from olmes.requests.response_cache import ResponseCache, response_key
from olmes.types import Generation, Request, Response

GENERATION = Generation(max_tokens=8)
REQUEST = Request(messages=({"role": "user", "content": "hello"},), generation=GENERATION)


class Weights(Model):
    """A model of bytes: no backend is needed to see what the key is made of."""

    def __init__(
        self, fingerprint: str = "a" * 64, dtype: str = "float32", template: str = "{}"
    ) -> None:
        self.parts = (fingerprint, {"dtype": dtype}, template)

    fingerprint = property(lambda self: self.parts[0])
    engine = property(lambda self: self.parts[1])

    def encode(self, request: Request) -> EncodedPrompt:
        text = self.parts[2].format(request.messages[-1]["content"]) + request.prefill
        return EncodedPrompt(text, tuple(text.encode()))

    def generate(self, requests: Sequence[Request], done: Done) -> None:
        raise NotImplementedError

    def loglikelihood(self, requests: Sequence[Request], done: Done) -> None:
        raise NotImplementedError


def key(model: Model, request: Request) -> str:
    return response_key(model, model.engine, request)


def test_everything_that_can_change_a_response_changes_the_key() -> None:
    changes = [
        (Weights(fingerprint="b" * 64), REQUEST),
        (Weights(dtype="bfloat16"), REQUEST),
        (Weights(template="<{}>"), REQUEST),
        (Weights(), dataclasses.replace(REQUEST, prefill="So")),
        (Weights(), dataclasses.replace(REQUEST, repeat=1)),
        (Weights(), dataclasses.replace(REQUEST, continuations=("A", "B"))),
        (Weights(), dataclasses.replace(REQUEST, top_logprobs=5)),
        (Weights(), dataclasses.replace(REQUEST, messages=({"role": "user", "content": "hi"},))),
    ]
    settings: dict[str, Any] = {
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ("x",),
        "n": 2,
        "seed": 1,
        "top_k": 5,
        "min_p": 0.1,
        "repetition_penalty": 1.2,
    }
    for field, value in settings.items():
        changed = dataclasses.replace(GENERATION, **{field: value})
        changes.append((Weights(), dataclasses.replace(REQUEST, generation=changed)))
    keys = [key(Weights(), REQUEST)] + [key(model, request) for model, request in changes]
    assert len(set(keys)) == len(keys)
    # A new field of Generation must not be forgotten here.
    assert {field.name for field in dataclasses.fields(Generation)} == set(settings)


def test_the_same_prompt_by_another_road_has_the_same_key() -> None:
    other = dataclasses.replace(
        REQUEST, messages=({"role": "user", "content": "hel"},), prefill="lo"
    )
    assert key(Weights(), REQUEST) == key(Weights(), other)


def test_what_is_put_is_got_and_failures_are_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "deep/responses.sqlite"
    cache = ResponseCache(path)
    cache.put("k", Response(text="odd \ud800 text\0", logprobs=(-1.5,), completion_tokens=3))
    cache.put("failed", Response(finish="error", error="out of memory"))
    cache.close()
    again = ResponseCache(path)
    assert again.get("k") == Response(
        text="odd \ud800 text\0", logprobs=(-1.5,), completion_tokens=3
    )
    assert again.get("failed") is None
    assert again.trouble == ""


def test_a_broken_cache_is_switched_off_and_says_why(tmp_path: Path) -> None:
    path = tmp_path / "responses.sqlite"
    path.write_bytes(b"this is no database" * 100)
    cache = ResponseCache(path)
    assert cache.get("k") is None
    cache.put("k", Response(text="x"))
    assert "cache is off" in cache.trouble


def test_two_processes_share_one_cache(tmp_path: Path) -> None:
    import subprocess
    import sys

    path = tmp_path / "responses.sqlite"
    code = (
        "import sys; from pathlib import Path; from olmes.requests.response_cache import ResponseCache;"
        "from olmes.types import Response; c = ResponseCache(Path(sys.argv[1]));"
        "[c.put(f'{sys.argv[2]}-{i}', Response(text=str(i))) for i in range(200)]; print(c.trouble)"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path), name], stdout=subprocess.PIPE, text=True
        )
        for name in "ab"
    ]
    assert [process.communicate()[0].strip() for process in running] == ["", ""]
    cache = ResponseCache(path)
    assert all(
        cache.get(f"{name}-{i}") == Response(text=str(i)) for name in "ab" for i in range(200)
    )


@pytest.mark.parametrize("name", ["a" * 64, "'; DROP TABLE responses; --"])
def test_any_key_is_a_value_not_a_statement(tmp_path: Path, name: str) -> None:
    cache = ResponseCache(tmp_path / "responses.sqlite")
    cache.put(name, Response(text="x"))
    assert cache.get(name) == Response(text="x")
