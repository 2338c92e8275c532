"""What a run has found out about a server that a reader of its numbers must know."""

from __future__ import annotations

from dataclasses import dataclass

from olmes.models.http.answers import has_thought
from olmes.models.http.dialect import Dialect
from olmes.models.http.endpoint import Endpoint
from olmes.models.http.keys import Key
from olmes.models.options import Asking
from olmes.types import Response


@dataclass(slots=True)
class Notes:
    """Counts of what the responses of one model have shown."""

    answered: int = 0
    thoughts: int = 0
    """Responses with a thought."""
    filtered: int = 0
    """Responses that the server's content filter has cut."""
    all_thought: int = 0
    """Responses that ended by themselves with a thought and no answer."""

    def note(self, found: Response) -> None:
        """Count a response."""
        self.answered += not found.error
        self.thoughts += has_thought(found)
        self.filtered += found.filtered
        self.all_thought += (
            bool(found.reasoning) and not found.text.strip() and found.finish == "stop"
        )

    def sentences(
        self, asking: Asking, dialect: Dialect, endpoint: Endpoint, key: Key
    ) -> list[str]:
        """What there is to say, a sentence each."""
        said = []
        if dialect.merges_system:
            said.append(
                "the server takes no system turn, so its text stands at the beginning of the first "
                "user turn."
            )
        if self.thoughts and asking.thinking == "auto" and asking.thinking_budget is None:
            said.append(
                "the server's model thinks before it answers, and thought and answer share the "
                "answer's token limit; --thinking on gives the thought a budget of its own, "
                "--thinking off leaves it out."
            )
        if self.thoughts and asking.thinking == "off":
            said.append(
                f"--thinking off: {self.thoughts} of {self.answered} responses hold a thought all the "
                "same, so the server has passed the switch over; give its own with --request-body K=V."
            )
        if self.all_thought and asking.thinking == "off":
            said.append(
                f"--thinking off: {self.all_thought} responses came as a thought without an answer; "
                "a server's reasoning parser can take an answer for one: start it without "
                "(vLLM: no --reasoning-parser)."
            )
        if asking.thinking == "on" and self.answered and not self.thoughts:
            said.append(
                "--thinking on: no response holds a thought, so the model does not think or the "
                "server does not tell; --request-body K=V gives the server's own switch."
            )
        if self.filtered:
            said.append(
                f"the server's content filter has cut {self.filtered} of {self.answered} responses, "
                "which are counted as refusals."
            )
        if dialect.lowered:
            said.append(
                "the thought's budget is lowered to what the server has room for; --thinking-budget "
                "sets it."
            )
        if key.secret and endpoint.open_air:
            said.append(
                f"the key of ${key.variable} went to {endpoint.host} over plain http, where anyone on "
                "the way can read it."
            )
        return said
