"""A stand-in for vLLM's offline engine, because the real one cannot be installed beside the tests.

`make test-vllm` runs the real one. This one answers every request with the token it is told, notes
how it was started, and fails as the environment says: in its own process, or in another that writes
the reason to standard error, as the real engine does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any


class SamplingParams:
    def __init__(self, **settings: Any) -> None:
        self.settings = settings


class Engine:
    def __init__(self, window: int) -> None:
        self.window = window
        self.waiting: list[tuple[str, list[int]]] = []
        self.engine_core = SimpleNamespace(shutdown=lambda: None)

    def add_request(
        self, name: str, prompt: dict[str, list[int]], settings: SamplingParams
    ) -> None:
        ids = prompt["prompt_token_ids"]
        assert len(ids) + settings.settings["max_tokens"] <= self.window, "the window is too small"
        self.waiting.append((name, ids))

    def has_unfinished_requests(self) -> bool:
        return bool(self.waiting)

    def step(self) -> list[Any]:
        if text := os.environ.get("STUB_DIES"):
            raise RuntimeError(text)
        waiting, self.waiting = self.waiting, []
        return [
            SimpleNamespace(
                finished=True, request_id=name, num_cached_tokens=0, prompt_token_ids=ids,
                outputs=[SimpleNamespace(token_ids=[5], finish_reason="length")],
            )
            for name, ids in waiting
        ]  # fmt: skip


class LLM:
    def __init__(self, **settings: Any) -> None:
        if text := os.environ.get("STUB_FAILS"):
            raise ValueError(text)
        if text := os.environ.get("STUB_CORE_FAILS"):
            code = f"import sys; sys.stderr.write({text!r})"
            subprocess.run([sys.executable, "-c", code], check=True)
            raise RuntimeError("Engine core initialization failed. See root cause above. {}")
        seen = {**settings, "visible": os.environ.get("CUDA_VISIBLE_DEVICES")}
        with open(os.environ["STUB_NOTES"], "a", encoding="utf-8") as notes:  # noqa: PTH123
            notes.write(json.dumps(seen) + "\n")
        self.llm_engine = Engine(settings["max_model_len"])
