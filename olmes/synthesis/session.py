"""One session of a synthesis: models asked stage by stage, resumable, within one budget.

Each response is in the journal of the output's folder before it is used, so that the same command
asks only for what is missing; failed requests are asked again. What a request costs is counted by the
meters of runs, in one file a model, over all sessions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from olmes.models.base import Model
from olmes.models.spec import load_model
from olmes.reasoning import split
from olmes.records.schema import Cost
from olmes.requests.dispatch import Origin, answer_all
from olmes.requests.journal import Journal
from olmes.requests.rationed import WAVE, RationedModel
from olmes.requests.refusals import Watch
from olmes.requests.response_cache import ResponseCache
from olmes.runs.cost import Meter, summed
from olmes.runs.needs import clearer
from olmes.synthesis.budget import SharedRation, Spending, money
from olmes.synthesis.recipe import Budget, RecipeModel
from olmes.tools.hashing import content_hash
from olmes.types import JsonObject, Message, Request, Response

Say = Callable[[str], None]


class Progress:
    """Hears of what is asked and answered; the command line draws bars from it."""

    def begun(self, stage: str, requests: int) -> None:
        """A stage is about to ask so many requests."""

    def answered(self, stage: str, response: Response, origin: Origin) -> None:
        """A response has come."""

    def ended(self) -> None:
        """Nothing more is asked."""


@dataclass(frozen=True)
class Ask:
    """One request of a stage, as the journal knows it."""

    key: str
    request: Request


@dataclass(frozen=True, kw_only=True)
class SynthesisModel:
    """A model of a recipe, ready to be asked."""

    table: RecipeModel
    model: Model
    meter: Meter
    fingerprint: str
    engine: JsonObject

    @property
    def name(self) -> str:
        """What pages and rows call it: no path, no host."""
        return self.model.title or self.model.name

    def request(self, text: str, seed: int, repeat: int = 0, *, label: str = "") -> Request:
        """A chat of one turn, asked as the recipe says.

        Args:
            text: the user's turn.
            seed: of the sampled tokens.
            repeat: which of several answers.
            label: what the answer must open with, where the recipe has it begun.
        """
        turns: list[Message] = [{"role": "user", "content": text}]
        if self.table.system:
            turns.insert(0, {"role": "system", "content": self.table.system})
        return Request(
            messages=tuple(turns),
            generation=self.table.generation(seed),
            repeat=repeat,
            prefill=label if self.table.begin else "",
        )

    def describe(self) -> JsonObject:
        """What a data card says of it: name, fingerprint, engine, how it was asked, cost."""
        cost = self.meter.total()
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "engine": self.engine,
            "generation": self.table.generation(0).to_json(),
            "requests": cost.requests,
            "prompt_tokens": cost.prefill_tokens,
            "completion_tokens": cost.decode_tokens,
            "money": money(self.table, cost),
        }


class Session:
    """Asks models for a synthesis. A context manager: it owns a journal and loads models.

    Args:
        folder: of the output; the journal and the costs lie in it.
        budget: what all models together may cost, over all sessions.
        say: gets a line for the user.
        progress: hears of requests and responses.
        use_cache: whether responses are taken from and put into the cache shared by all runs.

    Raises:
        OlmesError: another process is writing the folder.
    """

    def __init__(
        self,
        folder: Path,
        budget: Budget,
        *,
        say: Say,
        progress: Progress | None = None,
        use_cache: bool = True,
    ) -> None:
        self.folder, self.say = folder, say
        self.progress = progress or Progress()
        self.spending = Spending(budget)
        self.models: dict[str, SynthesisModel] = {}
        self.failed: Counter[str] = Counter()
        """Requests by stage that failed otherwise than by the budget."""
        self.reasons: dict[str, str] = {}
        """By stage: why the first of them failed."""
        self.journal = Journal(folder)
        self.cache = ResponseCache() if use_cache else None

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.progress.ended()
        for one in self.models.values():
            one.meter.close(remove=False)
            one.model.close()
        self.journal.close()
        if self.cache:
            self.cache.close()

    def load(self, table: RecipeModel) -> SynthesisModel:
        """A model of the recipe; one that is named twice alike is loaded once.

        Raises:
            OlmesError: it cannot be loaded.
        """
        name = content_hash([table.model, *map(str, table.engine.values())])
        if name not in self.models:
            model = load_model(table.model, **table.engine)
            with clearer(model):
                fingerprint, engine = model.fingerprint, model.engine
            meter = Meter(self.folder / "cost" / name[:12], model)
            self.spending.costs.append((table, meter.total))
            self.models[name] = SynthesisModel(
                table=table, model=model, meter=meter, fingerprint=fingerprint, engine=engine
            )
        return replace(self.models[name], table=table)

    def ask(
        self, stage: str, model: SynthesisModel, asks: Sequence[tuple[str, Request]]
    ) -> list[Response]:
        """Every response of a stage, in the order of what is asked, thoughts split off.

        A request that failed, or did not fit into the budget, has a response with `error`.

        Args:
            stage: its name, on the screen and in the journal.
            model: who is asked.
            asks: each request with a key of its own among the stage's.

        Raises:
            OlmesError: the model refuses all requests alike, or cannot be loaded.
        """
        who = content_hash([model.fingerprint, model.engine])[:12]
        items = [
            Ask(f"{stage} {key} {who}:{content_hash(request.to_json())[:16]}", request)
            for key, request in asks
        ]
        found: dict[int, Response] = {}
        reader = model.model.reader
        unasked = self.spending.unasked

        def answered(position: int, response: Response, origin: Origin) -> None:
            response = split(response, reader)
            found[position] = response
            if origin in ("cache", "duplicate"):
                model.meter.reused()
            if origin == "model":
                model.meter.thought(response)
            if response.error and self.spending.unasked == unasked:
                self.failed[stage] += 1
                self.reasons.setdefault(stage, response.error)
            self.progress.answered(stage, response, origin)

        self.progress.begun(stage, len(items))
        rationed = RationedModel(
            model.meter.metered,
            SharedRation(self.spending, model.table),
            Watch.of(model.model),
            wave=WAVE if self.spending.limited else max(1, len(items)),
        )
        answer_all(items, rationed, self.journal, self.cache, answered)
        return [found[position] for position in range(len(items))]

    def describe(self) -> list[JsonObject]:
        """What a data card says of the models, and of what each has cost."""
        return [one.describe() for one in self.models.values()]

    def cost(self) -> Cost | None:
        """What all models have cost; None where there is none."""
        costs = [one.meter.total() for one in self.models.values()]
        total = costs[0] if costs else None
        for cost in costs[1:]:
            total = summed(total, cost) if total else cost
        return total

    def troubles(self) -> list[str]:
        """What did not go well, a sentence each."""
        found = [
            f"{stage}: {count} requests failed ({self.reasons[stage]}); the same command asks them "
            "again."
            for stage, count in self.failed.items()
        ]
        return [*found, *filter(None, [self.spending.sentence()])]
