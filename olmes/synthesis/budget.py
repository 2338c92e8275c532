"""What a synthesis may cost: one budget of tokens and money over all its models and sessions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from olmes.records.schema import Cost
from olmes.requests.rationed import Ration, within
from olmes.synthesis.recipe import Budget, RecipeModel
from olmes.types import Request, Response

MILLION = 1_000_000


@dataclass
class Spending:
    """What all models of a synthesis have cost so far, and what is left."""

    budget: Budget
    costs: list[tuple[RecipeModel, Callable[[], Cost]]] = field(default_factory=list)
    """Each model with what it has cost, earlier sessions included."""
    unasked: int = 0
    """Requests that were not put, because the budget was used up."""

    @property
    def limited(self) -> bool:
        """Whether there is a limit at all."""
        return self.budget.tokens is not None or self.budget.money is not None

    @property
    def tokens(self) -> int:
        """Read and written by all models."""
        found = [cost() for _, cost in self.costs]
        return sum(cost.prefill_tokens + cost.decode_tokens for cost in found)

    @property
    def money(self) -> float:
        """What the tokens cost, as far as prices are given."""
        return sum(money(table, cost()) or 0.0 for table, cost in self.costs)

    @property
    def priced(self) -> bool:
        """Whether any model has a price."""
        return any(table.priced for table, _ in self.costs)

    def sentence(self) -> str:
        """Why requests were not put and how to go on; '' where all were."""
        if not self.unasked:
            return ""
        return (
            f"{self.limit()} is used up, and {self.unasked} requests were not put; what is finished "
            "is kept and written. Raise it in the recipe (--set budget."
            f"{'tokens' if self.budget.tokens is not None else 'money'}=N) and give the same command "
            "to go on."
        )

    def limit(self) -> str:
        """The budget in words."""
        limits = [
            *([f"{self.budget.tokens:,} tokens"] if self.budget.tokens is not None else []),
            *([f"{self.budget.money:g} in money"] if self.budget.money is not None else []),
        ]
        return f"the budget of {' and '.join(limits)}"


def money(table: RecipeModel, cost: Cost) -> float | None:
    """What a model's tokens cost at its prices; None where it has none."""
    if not table.priced:
        return None
    read, written = table.input_price or 0.0, table.output_price or 0.0
    return (cost.prefill_tokens * read + cost.decode_tokens * written) / MILLION


class SharedRation(Ration):
    """What one model of a synthesis may still cost, of what all of them may."""

    def __init__(self, spending: Spending, table: RecipeModel) -> None:
        self.spending, self.table = spending, table

    def affordable(self, requests: Sequence[Request]) -> Sequence[Request]:
        """The first of `requests` whose likely costs fit into tokens and money that are left."""
        budget = self.spending.budget
        if budget.tokens is not None:
            requests = within(requests, float(budget.tokens - self.spending.tokens))
        if budget.money is not None:
            price = max(self.table.input_price or 0.0, self.table.output_price or 0.0) / MILLION
            requests = within(requests, budget.money - self.spending.money, price)
        return requests

    def pay(self, response: Response) -> None:
        """Nothing: the model's meter counts."""

    def refuse(self, count: int) -> str:
        """Count the requests that are not put."""
        self.spending.unasked += count
        return f"{self.spending.limit()} is used up"
