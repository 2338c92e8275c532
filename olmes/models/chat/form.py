"""How one model is asked: its chat template, the template's variables, and what of a thought is known.

All of it from files, without a tokenizer: a run whose responses are in the cache loads none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from olmes.errors import OlmesError
from olmes.models.chat.probe import OWN, QUESTION, Probe, probe_of
from olmes.models.chat.switch import Switch, find_switch
from olmes.models.chat.templates import described, own_template, read_template
from olmes.models.chat.vocabulary import marks_of_vocabulary
from olmes.models.options import PLAIN, Asking
from olmes.reasoning.families import FAMILIES, SHARED, WORDS, Marks, families_of, parse_marks
from olmes.types import JsonObject

State = Literal["opened", "closed", "left"]
"""Whether the prompt opens a thought, has an empty one in it, or leaves it to the model."""


PLAIN_SAID = (
    "asked in plain text, without a chat template: exemplars and question one after another."
)


@dataclass(frozen=True)
class ChatForm:
    """How chats become text, and where a thought may begin."""

    template: str | None = None
    """A template in place of the tokenizer's own."""
    plain: bool = False
    """Whether the turns' texts are put one after another, without a template."""
    variables: Mapping[str, Any] = field(default_factory=dict)
    """What the template gets besides the chat."""
    ending: str = ""
    """What is written behind the template's text: an empty thought, where nothing else closes it."""
    marks: tuple[Marks, ...] = ()
    """Marks the model is known to write; none where nothing is known."""
    opened: bool = False
    """Whether the prompt opens the thought."""
    closing: str = ""
    """What closes a thought that the prompt opens, empty: given continuations are answers."""
    thinks: bool = False
    """Whether a response is expected to begin with a thought."""
    notes: tuple[str, ...] = ()
    """What a reader of the numbers must know of it."""


def form_of(name: str, folder: Path, asking: Asking) -> ChatForm:
    """How a checkpoint is asked.

    Args:
        name: what the user called the model.
        folder: with its configuration and tokenizer.
        asking: what the user says of it.

    Raises:
        OlmesError: the template cannot be read, has no such variable, or cannot do what is asked.
    """
    plain = asking.chat_template == PLAIN
    given = None if asking.chat_template in (None, PLAIN) else asking.chat_template
    template = "" if plain else read_template(given) if given else own_template(folder) or ""
    own = known_marks(template, folder, asking)
    opening = [one for one in FAMILIES if one.opening in template and one.name not in WORDS]
    said = (PLAIN_SAID,) if plain else ()
    if given:
        said = (
            f"asked with the chat template {described(given)} in place of the checkpoint's own.",
        )
    if not (own or opening or asking.template_args or asking.thinking != "auto"):
        return ChatForm(template=template if given else None, plain=plain, notes=said)
    probe = probe_of(template, folder)
    variables = checked(name, dict(asking.template_args), probe)
    if asking.reasoning_tags is None:
        # A template that opens a thought need not name the mark that closes it.
        tail = probe.ending(variables)
        own = (*own, *(one for one in opening if one not in own and one.opening in tail))
    switch = find_switch(probe, variables)
    thinking = Thinking(name, probe, own, switch, asking)
    variables, ending, notes = thinking.asked(variables)
    state = thinking.state(variables, ending)
    return ChatForm(
        template=template if given else None,
        plain=plain,
        variables=variables,
        ending=ending,
        marks=own,
        opened=state == "opened",
        closing=thinking.closing(variables) if state == "opened" else "",
        thinks=thinking.expected(variables, state),
        notes=(*said, *notes),
    )


def has_system_turn(folder: Path, asking: Asking) -> bool:
    """Whether a checkpoint's chat template writes a system turn; the plain format has one.

    Raises:
        OlmesError: the template cannot be read.
    """
    if asking.chat_template == PLAIN:
        return True
    given = asking.chat_template
    template = read_template(given) if given else own_template(folder)
    if not template:
        return True
    return probe_of(template, folder).has_system_turn(asking.template_args)


def known_marks(template: str, folder: Path, asking: Asking) -> tuple[Marks, ...]:
    """The marks the user gives, or those of the families that template and tokens hold."""
    if asking.reasoning_tags is not None:
        return parse_marks(asking.reasoning_tags)
    return families_of(template, marks_of_vocabulary(folder))


def checked(name: str, variables: dict[str, Any], probe: Probe) -> dict[str, Any]:
    """The variables a user sets, where the template has them.

    Raises:
        OlmesError: it has none of a name.
    """
    for key in variables:
        if key in OWN or key not in probe.variables:
            known = ", ".join(sorted(probe.variables)) or "none"
            raise OlmesError(
                f"--template-arg {key}: the chat template of '{name}' has no such variable; those it "
                f"has: {known}."
            )
    return variables


@dataclass(frozen=True)
class Thinking:
    """What a template does about a thought, and what has to be done for it."""

    name: str
    probe: Probe
    marks: tuple[Marks, ...]
    switch: Switch
    asking: Asking

    def asked(self, given: dict[str, Any]) -> tuple[dict[str, Any], str, tuple[str, ...]]:
        """The template's variables, what is written behind its text, and what is to be said of it.

        Raises:
            OlmesError: the user's variables say the contrary, or nothing is known that thinks.
        """
        wanted = self.asking.thinking
        known: dict[str, JsonObject] = {"auto": {}, "on": self.switch.on, "off": self.switch.off}
        values = known[wanted]
        for key, value in values.items():
            if key in given and given[key] != value:
                raise OlmesError(
                    f"--thinking {wanted} sets the chat template's {key} to {value}, and "
                    f"--template-arg to {given[key]}; give one of them."
                )
        variables = {**given, **values}
        if wanted == "off":
            return variables, *self.off(variables, switched=bool(values))
        if wanted == "on":
            return variables, "", self.on(variables, switched=bool(values))
        return variables, "", ()

    def off(self, variables: dict[str, Any], *, switched: bool) -> tuple[str, tuple[str, ...]]:
        """An empty thought behind the prompt, where the template neither closes nor leaves it out."""
        state = self.state(variables, "")
        if state == "closed" or (switched and state == "left"):
            return "", ()
        likely = self.likely(given=self.asking.reasoning_tags is not None)
        if state == "left" and not (likely and self.tags):
            return "", (
                "--thinking off changes nothing: the chat template has no variable for it, and knows "
                "no marks of a thought.",
            )
        ending = self.closing(variables)
        shown = ending.replace("\n", "\\n")
        return ending, (
            "--thinking off: the chat template does not close the thought, so an empty one is "
            f"written behind every prompt ({shown}).",
        )

    def on(self, variables: dict[str, Any], *, switched: bool) -> tuple[str, ...]:
        """What is to be said where the template has no variable for it.

        Raises:
            OlmesError: nothing is known that opens a thought, or the template closes it.
        """
        state = self.state(variables, "")
        if not self.marks and not switched and self.asking.reasoning_tags is None:
            raise OlmesError(
                f"--thinking on: neither the chat template nor the tokens of '{self.name}' have marks "
                "of a thought; leave it out, or name the marks with --reasoning-tags."
            )
        if state == "closed":
            raise OlmesError(
                f"--thinking on: the chat template of '{self.name}' closes the thought and has no "
                "variable that opens it; give another one with --chat-template."
            )
        if not switched and state == "left":
            return (
                "--thinking on: the chat template has no variable for it; whether it thinks is left "
                "to the model.",
            )
        return ()

    def state(self, variables: dict[str, Any], ending: str) -> State:
        """What stands behind the question, in a prompt of the template."""
        if not self.tags:
            return "left"
        tail = self.probe.ending(variables) + ending
        last = max(self.tags, key=lambda family: last_mark(tail, family))
        opened, closed = tail.rfind(last.opening), tail.rfind(last.closing)
        # A closing mark that ends other things too says nothing of a thought.
        if max(opened, closed) < 0 or (opened < 0 and last.name in SHARED):
            return "left"
        return "opened" if opened > closed else "closed"

    def closing(self, variables: dict[str, Any]) -> str:
        """An empty thought behind the prompt, or the end of the one that it opens."""
        tail = self.probe.ending(variables)
        opened = self.state(variables, "") == "opened"
        return closing_of(self.family_of(tail), opened=opened, tail=tail)

    def family_of(self, tail: str) -> Marks:
        """The family whose thought is to be closed: that of the prompt, or of the template."""
        written = [one for one in self.tags if one.closing in self.probe.template]
        return max(written or self.tags, key=lambda family: last_mark(tail, family))

    @property
    def tags(self) -> tuple[Marks, ...]:
        """The marks that are no words: what stands in a prompt by one of these is a mark."""
        return tuple(one for one in self.marks if one.name not in WORDS)

    def likely(self, *, given: bool) -> bool:
        """Whether the template speaks of thoughts, or the user says that there are some."""
        return given or bool(families_of(self.probe.template, self.tokens))

    @property
    def tokens(self) -> tuple[str, ...]:
        """Openings count where the template has the closing mark alone, to take old thoughts out."""
        return tuple(
            mark
            for family in self.marks
            if family.closing in self.probe.template
            for mark in (family.opening, family.closing)
        )

    def expected(self, variables: dict[str, Any], state: State) -> bool:
        """Whether a response is expected to begin with a thought."""
        if state != "left" or not self.marks:
            return state == "opened"
        if self.asking.thinking != "auto" or self.asking.reasoning_tags is not None:
            return self.asking.thinking != "off"
        if not self.likely(given=False):
            return False
        off = {**variables, **self.switch.off}
        on = {**variables, **self.switch.on}
        now = self.whole(variables)
        # A template whose default is the same as off: it thinks only when it is told to.
        return not self.switch.off or now != self.whole(off) or now == self.whole(on)

    def whole(self, variables: dict[str, Any]) -> str | None:
        """The whole prompt of a question; some templates say it in the system turn."""
        return self.probe.render(QUESTION, variables)


def last_mark(text: str, family: Marks) -> int:
    """Where the last mark of a family stands; -1 where there is none."""
    return max(text.rfind(family.opening), text.rfind(family.closing))


def closing_of(family: Marks, *, opened: bool, tail: str) -> str:
    """An empty thought of a family, or the end of one that the prompt opens.

    Tags stand on lines of their own, as the templates write them that have a variable for it.
    """
    lines = family.opening.startswith("<") and "|" not in family.opening
    start = "" if opened else family.opening + ("\n" if lines else "")
    gap = ("" if tail.endswith("\n") or not opened else "\n") + "\n" if lines else ""
    answer = "\n\n" if lines else ""
    if "|" in family.closing and family.answers:
        # Where the answer is a channel of its own, it has to be opened too.
        answer = "".join(family.between) + family.answers[0][0]
    return start + gap + family.closing + answer
