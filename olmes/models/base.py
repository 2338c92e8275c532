"""What every model backend does: generate, loglikelihood, rewards over requests; nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from olmes.errors import OlmesError
from olmes.reasoning.split import ANY, Reader
from olmes.types import JsonObject, Request, Response

if TYPE_CHECKING:
    from olmes.records.schema import RecordedModel

Done = Callable[[int, Response], None]
"""Called with a request's position and its response, once for each, as soon as it is finished."""


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """A request as the model sees it."""

    text: str
    """The rendered chat template with the prefill."""
    token_ids: tuple[int, ...]


@dataclass(slots=True)
class Work:
    """What a backend has computed since it was made; it only grows."""

    prefill_tokens: int = 0
    """Tokens of prompts and of given continuations."""
    shared_tokens: int = 0
    """Of prompts and continuations, not computed again because another has the same prefix."""
    decode_tokens: int = 0
    """New tokens, given-up rows included."""
    load_s: float = 0.0
    """Seconds of loading weights."""


NO_REWARDS = (
    "it gives no rewards; give a reward model that transformers runs here: the folder or hub id of a "
    "sequence classifier with one label, as `olmes train reward` writes it"
)
SYSTEM_MERGED = (
    "the chat template has no system turn, so the system's text stands before the first user's."
)


class Model(ABC):
    """A model that answers requests.

    Creating one is cheap; weights are loaded by the first request that needs them, so that a run
    whose responses are all in the cache never loads them.
    """

    name: str
    """What the user called it."""
    title: str = ""
    """What tables and pages call it: no path, no host; '' is its name."""
    cacheable: bool = True
    """Whether its responses belong in the response cache shared by all runs."""
    recorded: bool = False
    """Whether it gives back what was recorded, so that it computes nothing and has no speed."""
    greedy_alike: bool = False
    """Whether it gives one and the same response to a request as often as it is asked at temperature 0,
    so that repeats say nothing; servers need not."""
    served: bool = False
    """Whether it is asked over the network: a request it refuses costs as much as one it answers."""
    work: Work | None = None
    """What it has computed; None where only its responses show it."""

    @property
    def encoding(self) -> str:
        """What decides, besides fingerprint and engine, how a request becomes tokens.

        Where it is given, keys of the response cache are stored by it, so that a run whose answers
        are all there needs no tokenizer; '' where encoding costs next to nothing.
        """
        return ""

    @property
    def gpus(self) -> int:
        """GPUs it computes on, as far as this process knows."""
        return 0

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """64 hex digits over the content of weights, tokenizer and chat template; not the path."""

    @property
    def fingerprint_parts(self) -> dict[str, str]:
        """Hashes of what the fingerprint covers, by name, as far as the backend sees it."""
        return {}

    @property
    @abstractmethod
    def engine(self) -> JsonObject:
        """Backend, its versions, precision and device: what changes outputs besides the weights."""

    @property
    def reader(self) -> Reader:
        """How its responses are taken apart into thought and answer."""
        return ANY

    @property
    def thinks(self) -> bool:
        """Whether its answers begin with a thought, so that a prefill would stand inside it."""
        return False

    @property
    def gives_rewards(self) -> bool:
        """Whether it is a reward model, which gives answers a number and writes none.

        Raises:
            OlmesError: its files are missing or cannot be read.
        """
        return False

    @property
    def merges_system(self) -> bool:
        """Whether its chats have no system turn, so that the system's text goes to the user's."""
        return False

    @property
    def sampling(self) -> JsonObject:
        """The checkpoint's own sampling settings, by field of `Generation`.

        Raises:
            OlmesError: it has none that are known.
        """
        raise OlmesError(
            f"'{self.name}' has no generation_config that is known here; leave out --sampling model, "
            "and give --temperature and --top-p instead."
        )

    @property
    def notes(self) -> Sequence[str]:
        """What a reader of its numbers must know of how it was asked, a sentence each; only grows."""
        return ()

    @property
    def recorded(self) -> RecordedModel | None:
        """What a recording says of the model that gave its responses; None where a model is asked."""
        return None

    @abstractmethod
    def encode(self, request: Request) -> EncodedPrompt:
        """The exact text and tokens of a request's prompt, before any truncation."""

    def refusal(self, request: Request) -> str:  # noqa: ARG002
        """Why a request cannot be answered, as far as is known without asking; '' where it can be.

        Raises:
            OlmesError: no request can be answered.
        """
        return ""

    @abstractmethod
    def generate(self, requests: Sequence[Request], done: Done) -> None:
        """Answer every request, calling `done` as each finishes, in whatever order is fastest.

        A request that cannot be answered is reported as a response with `finish="error"` and does
        not stop the others.
        """

    @abstractmethod
    def loglikelihood(self, requests: Sequence[Request], done: Done) -> None:
        """Score every request's continuations, calling `done` as each request finishes."""

    def rewards(self, requests: Sequence[Request], done: Done) -> None:
        """Give every request's answers a number each, calling `done` as each request finishes."""
        for index, _ in enumerate(requests):
            done(index, Response(finish="error", error=NO_REWARDS))

    def check(self) -> None:
        """Return when it can be asked at all, as far as this is known without asking it; cheap.

        Raises:
            OlmesError: it cannot, and why.
        """
        return

    def close(self) -> None:
        """Free what the backend has loaded; called once at the end of a run."""
        return
