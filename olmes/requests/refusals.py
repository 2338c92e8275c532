"""Equal refusals end a run after a score of them.

What refuses twenty requests for one reason will refuse the rest, and a user wants to hear of it now.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from olmes.errors import OlmesError
from olmes.models.base import Done, Model
from olmes.models.replay import ReplayModel
from olmes.records.reasons import Reasons, kind_of, reason_of, texts_of
from olmes.types import Request, Response

Ask = Callable[[Sequence[Request], Done], None]
"""A model's `generate` or `loglikelihood`."""
SCORE = 20
"""Equal refusals with no answer between them, after which the run ends."""
OF_THE_ITEM = re.compile(
    r"context|too long|too many tokens|maximum.{0,30}(?:length|tokens)|no room|window|fit in"
    r"|content.?(?:filter|management|policy)|withheld|moderat|safety",
    re.IGNORECASE,
)
"""Refusals that depend on the item: where others were answered, a stretch of them says nothing."""
SETTING = (
    r"temperature|top_p|top_k|min_p|repetition_penalty|seed|stop|max_(?:completion_)?tokens|\bn\b"
)
SAID = re.compile(r"; (?:leave|set|add|serve|give|the server has) [^;]*$")
"""What a backend adds to a server's words where it knows what helps."""
REMEDIES: tuple[tuple[str, str], ...] = (
    (
        r"context|too long|too many tokens|maximum.{0,30}(?:length|tokens)",
        "lower the limit of the answer (--set '*.max_tokens=N'), or serve the model with a larger "
        "window",
    ),
    (r"enable_thinking|thinking", "ask without thoughts (--thinking off)"),
    (
        r"system",
        "serve the model with a chat template that takes a system turn, or leave --system out where "
        "that gives it",
    ),
    (r"stream", "serve the model where answers come whole, not as a stream"),
    (
        r"content.?(?:filter|management|policy)|moderat",
        "leave that task out, or ask a server that does not filter",
    ),
)
"""What to do about a server's refusal, by what it speaks of; the first that fits."""


@dataclass
class Watch:
    """Hears of every response of a model, and ends the run where it refuses them all alike.

    Args:
        name: the model, as the user called it.
        served: whether it is asked over the network, where each refusal costs time and perhaps money.
            Another model refuses before it computes, so there it counts what came back in the end.
        judge: whether it judges.
    """

    name: str
    served: bool
    judge: bool = False
    answered: int = 0
    in_a_row: Counter[str] = field(default_factory=Counter)
    """Refusals by kind since the last answer."""
    reasons: Reasons = field(default_factory=Reasons)

    @classmethod
    def of(cls, model: Model, *, judge: bool = False) -> Watch | None:
        """The watch over a model; None over a recording, which lacks what it lacks."""
        if isinstance(model, ReplayModel):
            return None
        return cls(model.name, model.served, judge)

    def heard(self, request: Request, response: Response) -> None:
        """Count a response of the model.

        Raises:
            OlmesError: it is one refusal too many.
        """
        if not response.error:
            self.answered += 1
            self.in_a_row.clear()
            return
        reason = reason_of(response.error, texts_of(request))
        kind = kind_of(reason)
        if self.answered and OF_THE_ITEM.search(kind):
            return
        self.in_a_row[kind] += 1
        self.reasons.add("failed", reason)
        if self.served and self.in_a_row[kind] >= SCORE:
            raise self.ended(kind)

    def check(self) -> None:
        """Note that nothing more is asked.

        Raises:
            OlmesError: nothing was answered, and a score of requests were refused alike.
        """
        kind, count = next(iter(self.in_a_row.most_common(1)), ("", 0))
        if not self.answered and count >= SCORE:
            raise self.ended(kind)

    def over(self, ask: Ask) -> Ask:
        """A model's `generate` or `loglikelihood` under this watch; it raises as the watch does."""

        def asked(requests: Sequence[Request], done: Done) -> None:
            def heard(position: int, response: Response) -> None:
                done(position, response)
                self.heard(requests[position], response)

            ask(requests, heard)
            self.check()

        return asked

    def ended(self, kind: str) -> OlmesError:
        """Why the run ends, in a sentence with the remedy."""
        found = self.reasons.groups["failed"]
        reason = found[kind].shown if kind in found else kind
        who = f"the judge '{self.name}'" if self.judge else f"'{self.name}'"
        return OlmesError(
            f"{who} refused {self.in_a_row[kind]} requests in a row for the same reason ({reason}); "
            f"{remedy(reason, judge=self.judge)}. What was answered is kept, and the same command "
            "resumes the run."
        )


def remedy(reason: str, *, judge: bool = False) -> str:
    """What to do about a refusal."""
    if judge:
        return "fix that where the judge is served, or give another --judge"
    if SAID.search(reason) or (not reason.startswith("the server refused") and "; " in reason):
        return "do so, or leave that task out"  # it says itself what helps
    if named := re.search(SETTING, reason):
        name = named[0].replace("completion_", "")
        return f"set {name} to what it takes, as in --set '*.{name}=VALUE'"
    for about, what in REMEDIES:
        if re.search(about, reason, re.IGNORECASE):
            return what
    return (
        "change what it names (--set '*.FIELD=VALUE', --request-body K=V), or leave that task out"
    )
