"""Models that run in Ray actors and do what no real one can be made to do on time."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from typing import Any

from olmes.errors import OlmesError
from olmes.models.base import Done, EncodedPrompt, Model
from olmes.types import Request, Response


class Echoing(Model):
    """Answers each request with its last turn, `seconds` after the one before it."""

    name = "echoing"
    cacheable = False
    fingerprint = "e" * 64

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    @property
    def engine(self) -> dict[str, Any]:
        return {"backend": "echoing"}

    def encode(self, request: Request) -> EncodedPrompt:
        return EncodedPrompt(text=request.messages[-1]["content"], token_ids=())

    def generate(self, requests: Sequence[Request], done: Done) -> None:
        for at, request in enumerate(requests):
            time.sleep(self.seconds)
            done(at, self.answer(request))

    def answer(self, request: Request) -> Response:
        return Response(text=request.messages[-1]["content"], completion_tokens=1)

    def loglikelihood(self, requests: Sequence[Request], done: Done) -> None:
        for at, request in enumerate(requests):
            done(at, Response(logprobs=tuple(-float(len(c)) for c in request.continuations)))


class Lingering(Echoing):
    """Takes a while to end after its last response."""

    def generate(self, requests: Sequence[Request], done: Done) -> None:
        super().generate(requests, done)
        time.sleep(0.5)


class Refusing(Echoing):
    """Says what the user has to mend."""

    def answer(self, request: Request) -> Response:
        raise OlmesError("the model cannot be read; copy it again.")


class Breaking(Echoing):
    """Breaks in a way nobody foresaw, whatever it is asked."""

    def answer(self, request: Request) -> Response:
        raise RuntimeError("device-side assert")


class Dying(Echoing):
    """Is gone at the first request."""

    def answer(self, request: Request) -> Response:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


class Poisoned(Echoing):
    """Is killed by one request, and answers all others."""

    def answer(self, request: Request) -> Response:
        if request.messages[-1]["content"] == "poison":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().answer(request)


class Other(Echoing):
    """Runs on other hardware than it says elsewhere."""

    @property
    def engine(self) -> dict[str, Any]:
        return {"backend": "echoing", "device": "another"}
