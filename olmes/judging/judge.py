"""A judge: a language model that answers questions about responses, within a budget of tokens.

Any model backend can be one. Its answers are cached and journaled like every model's, so a judgement
is paid for once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from olmes.models.base import Model
from olmes.records.schema import JudgeModel
from olmes.requests.rationed import Ration, RationedModel, within
from olmes.requests.refusals import Watch
from olmes.types import Request, Response


@dataclass(kw_only=True)
class Judge:
    """Who judges, and how many tokens that may cost."""

    model: Model
    budget: int | None = None
    """Tokens read and written by the judge in this run, at most; answers that were paid for before
    cost nothing. None sets no limit."""
    spent: int = field(default=0, init=False)
    """Tokens read and written so far."""
    unasked: int = field(default=0, init=False)
    """Questions that were not put, because the budget was used up."""

    def describe(self) -> JudgeModel:
        """What a record says of the judge."""
        return JudgeModel(
            name=self.model.name, fingerprint=self.model.fingerprint, engine=self.model.engine
        )


class BudgetedModel(RationedModel):
    """A judge's model that stops asking before its budget is overdrawn."""

    def __init__(self, judge: Judge) -> None:
        super().__init__(judge.model, JudgeRation(judge), Watch.of(judge.model, judge=True))


class JudgeRation(Ration):
    """What is left of a judge's budget."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge

    def affordable(self, requests: Sequence[Request]) -> Sequence[Request]:
        """The first of `requests` whose likely costs fit into the budget together."""
        if self.judge.budget is None:
            return requests
        return within(requests, float(self.judge.budget - self.judge.spent))

    def pay(self, response: Response) -> None:
        """Count the tokens read and written."""
        self.judge.spent += response.prompt_tokens + response.completion_tokens

    def refuse(self, count: int) -> str:
        """Count the questions that are not put."""
        self.judge.unasked += count
        return f"the judge's budget of {self.judge.budget} tokens is used up"
