"""Answers where a training template marks them (`{% generation %}`), and whether its marks are right.

A mark may hold more than what a model has to write: the header of its turn, a line end behind it. It
may not hold what others say, cut an answer, or leave its end out.
"""

from __future__ import annotations

from olmes.errors import OlmesError
from olmes.trainers.templates.answers import KEPT, Answer, AnswerFinder, Rendered
from olmes.trainers.templates.rendering import Chat, RefusedError, Renderer, Span, Tools, Turn
from olmes.trainers.templates.turns import check_tools, content_of, plain

PROBES: tuple[Chat, ...] = (
    [{"role": "user", "content": "One?"}, {"role": "assistant", "content": "Two."}],
    [
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "Two."},
        {"role": "user", "content": "Three?"},
        {"role": "assistant", "content": "Four."},
    ],
)
"""Chats whose marks are looked at before any training."""


class MarkFinder:
    """Finds the answers of chats by a template's marks.

    Where the marks of one chat do not hold what its assistant says (a template may fail on what its
    author did not think of), the answers are found as without marks.

    Args:
        marked: renderer of the training template.
        finder: of the plain template, which renders the same.

    Raises:
        OlmesError: the marks are wrong on the simplest of chats.
    """

    def __init__(self, marked: Renderer, finder: AnswerFinder) -> None:
        self.marked = marked
        self.finder = finder
        self.rims: set[tuple[str, str]] = set()
        """What marks hold before and behind a content, as it was found right."""
        for probe in PROBES:
            self.check(probe)

    def find(self, chat: Chat, tools: Tools | None = None) -> Rendered:
        """A chat as text, and its answers.

        Raises:
            RefusedError: the template does not take it.
        """
        turns = self.marked.fitted(chat)
        text, marks = self.marked.marked(turns, tools)
        check_tools(text, turns)
        said = [turn for turn in turns if turn["role"] == "assistant"]
        if len(said) != len(marks):
            return self.finder.find(turns, tools)
        quick = [self.known(text, mark, turn) for mark, turn in zip(marks, said, strict=True)]
        if all(quick):
            return Rendered(text, tuple(answer for answer in quick if answer))
        found = self.finder.find(turns, tools)
        if not self.right(found, text, marks, turns, tools):
            return found
        answers = [
            Answer(start, end, answer.said, ended=True, changed=answer.changed)
            for (start, end), answer in zip(marks, found.answers, strict=True)
        ]
        for answer, turn in zip(answers, said, strict=True):
            self.remember(text, answer, turn)
        return Rendered(text, tuple(answers))

    def known(self, text: str, mark: Span, turn: Turn) -> Answer | None:
        """The answer in a mark, when it stands there as others before it did."""
        if not plain(turn):
            return None
        content = content_of(turn)
        held = text[mark[0] : mark[1]]
        for body in dict.fromkeys((content, content.strip())):
            for lead, tail in self.rims:
                if held == lead + body + tail:
                    said = mark[0] + len(lead), mark[1] - len(tail)
                    return Answer(*mark, said, ended=True, changed=body != content)
        return None

    def remember(self, text: str, answer: Answer, turn: Turn) -> None:
        """Note what stands round an answer whose mark is right."""
        if plain(turn) and not answer.changed and len(self.rims) < KEPT:
            lead = text[answer.start : answer.said[0]]
            self.rims.add((lead, text[answer.said[1] : answer.end]))

    def right(
        self, found: Rendered, text: str, marks: list[Span], chat: Chat, tools: Tools | None
    ) -> bool:
        """Whether each mark holds one answer and its end, and nothing that others say."""
        if not found.text.startswith(text) or len(marks) != len(found.answers):
            return False
        spoken = [index for index, turn in enumerate(chat) if turn["role"] == "assistant"]
        for index, mark, answer in zip(spoken, marks, found.answers, strict=True):
            before = self.finder.place(text, chat, index - 1, tools) if index else None
            after = None
            if index + 1 < len(chat):
                after = self.finder.place(text, chat, index + 1, tools)
            good = (
                mark[0] <= answer.said[0]
                and answer.said[1] <= mark[1]
                and (before is None or before[1] <= mark[0])
                and (after is None or mark[1] <= after[0])
                and self.finder.special.search(text, answer.said[1], mark[1]) is not None
            )
            if not good:
                return False
        return True

    def check(self, probe: Chat) -> None:
        """Refuse marks that are wrong on a simple chat.

        Raises:
            OlmesError: they are.
        """
        try:
            turns = self.marked.fitted(probe)
            text, marks = self.marked.marked(turns)
            found = self.finder.find(turns)
        except RefusedError:
            return  # which is said of the chats of the data, should it take none
        if self.right(found, text, marks, turns, None):
            for answer, mark, turn in zip(found.answers, marks, turns[1::2], strict=True):
                self.remember(text, Answer(*mark, answer.said, ended=True, changed=False), turn)
            return
        held = [text[start:end] for start, end in marks]
        said = [turn["content"] for turn in turns if turn["role"] == "assistant"]
        raise OlmesError(
            f"the template would train on {held!r} where the assistant says {said!r}; let its "
            "{% generation %} marks hold each answer and the token that ends it, or leave them out."
        )
