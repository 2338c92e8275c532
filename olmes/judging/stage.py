"""The judging of a run: after the responses are there, before they are scored.

responses -> questions (the task) -> judgements (journal, cache, judge, encoder) -> scores
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from olmes.errors import OlmesError
from olmes.judging.judge import BudgetedModel, Judge
from olmes.judging.judges import Judges
from olmes.reasoning import split
from olmes.records.schema import ResponseRow, TaskJudge
from olmes.requests.dispatch import answer_all
from olmes.requests.items import Item
from olmes.requests.journal import Journal
from olmes.requests.response_cache import ResponseCache
from olmes.tools.hashing import content_hash
from olmes.types import JsonObject, Judgement, Question, Request, Response, Similarity

OnJudged = Callable[[int, tuple[Question, ...], list[Judgement]], None]
"""Called with a response's position, the questions about it and what came back."""


@dataclass(frozen=True)
class JudgeQuestion:
    """One question for the judge, as the journal knows it."""

    item: Item
    number: int
    """Which of the questions about the response."""
    request: Request
    place: tuple[int, int]
    """Position of the response, and of the question among those about it."""

    @cached_property
    def key(self) -> str:
        """Name in the journal; no item's own key begins so."""
        asked = content_hash(self.request.to_json())[:16]
        return f"judge {self.item.instance.id}#{self.item.repeat}.{self.number}:{asked}"


@dataclass
class Judging:
    """Who judged in a run."""

    judges: Judges
    encoders: dict[str, JsonObject] = field(default_factory=dict)
    """By name: fingerprint and engine of each encoder that was asked."""
    lacking: list[str] = field(default_factory=list)
    """Why encoders could not be loaded, a sentence each."""

    def add(self, other: Judging) -> None:
        """Add the encoders of further responses, each once."""
        self.encoders |= other.encoders
        self.lacking += [reason for reason in other.lacking if reason not in self.lacking]

    def unasked(self, task: str) -> list[str]:
        """Why questions were not put at all, a sentence each; it says nothing of any item."""
        said = list(self.lacking)
        judge = self.judges.of(task)
        if judge and judge.unasked:
            said.append(
                f"{judge.unasked} questions did not fit into the judge's budget of "
                f"{judge.budget} tokens; resume with the same command and a larger --judge-budget."
            )
        return said


class JudgementCounts:
    """How many judgements a judged task's rows hold, at what price; rows are not kept."""

    def __init__(self) -> None:
        self.judgements = 0
        self.tokens = {"prompt": 0, "completion": 0}

    def add(self, row: ResponseRow) -> None:
        """Count one row in."""
        for judgement in row.get("judgements", ()):
            self.judgements += 1
            self.tokens["prompt"] += judgement["prompt_tokens"]
            self.tokens["completion"] += judgement["completion_tokens"]

    def counted(self, judging: Judging, task: str) -> TaskJudge:
        """A judged task's part of the record: who, how many judgements, at what price in tokens."""
        judge = judging.judges.of(task)
        return TaskJudge(
            model=judge.describe() if judge else None,
            encoders=judging.encoders,
            budget=judge.budget if judge else None,
            judgements=self.judgements,
            tokens=dict(self.tokens),
        )


@dataclass
class Case:
    """One response that is judged."""

    questions: tuple[Question, ...]
    judgements: list[Judgement | None] = field(default_factory=list)

    def answer(self, number: int, judgement: Judgement) -> bool:
        """Take one judgement; whether it was the last."""
        self.judgements[number] = judgement
        return None not in self.judgements


def judge_responses(
    cases: Sequence[tuple[int, Item, tuple[Question, ...]]],
    judges: Judges,
    journal: Journal,
    cache: ResponseCache | None,
    on_judged: OnJudged,
) -> Judging:
    """Have questions about responses answered; `on_judged` is called once a response.

    Args:
        cases: position of a response, its item, and what its task asks about it.
        judges: who answers requests, by task.
        journal: keeps each answer as it comes, so that a killed run does not pay twice.
        cache: keeps answers over runs.
        on_judged: called for each response whose questions are all answered, or failed.

    Returns:
        Who judged: the encoders that answered, and why others could not.

    Raises:
        OlmesError: a request is to be judged and its task has no judge.
    """
    open_cases = {at: Case(questions, [None] * len(questions)) for at, _, questions in cases}
    asks: dict[int, tuple[Judge, list[JudgeQuestion]]] = {}
    likenesses: dict[str, list[tuple[tuple[int, int], Similarity]]] = defaultdict(list)

    def answered(place: tuple[int, int], judgement: Judgement) -> None:
        at, number = place
        case = open_cases[at]
        if case.answer(number, judgement):
            on_judged(at, case.questions, [one for one in case.judgements if one is not None])

    for at, item, questions in cases:
        if not questions:
            on_judged(at, (), [])
        judge = judges.of(item.instance.task)
        for number, question in enumerate(questions):
            if isinstance(question, Similarity):
                likenesses[question.encoder].append(((at, number), question))
            elif judge is None:
                raise OlmesError(f"{item.instance.task} has no judge; give one with --judge MODEL.")
            else:
                _, of_judge = asks.setdefault(id(judge), (judge, []))
                of_judge.append(JudgeQuestion(item, number, question, (at, number)))
    for judge, put in asks.values():
        ask(judge, put, journal, cache, answered)
    found = Judging(judges)
    for name, pairs in likenesses.items():
        try:
            found.encoders[name] = weigh(name, pairs, answered)
        except OlmesError as error:
            found.lacking.append(str(error))
    return found


def ask(
    judge: Judge,
    asks: Sequence[JudgeQuestion],
    journal: Journal,
    cache: ResponseCache | None,
    answered: Callable[[tuple[int, int], Judgement], None],
) -> None:
    """Put questions to a judge; `answered` is called with each place and judgement."""
    reader = judge.model.reader
    answer_all(
        asks,
        BudgetedModel(judge),
        journal,
        cache,
        lambda position, response, _: answered(
            asks[position].place, from_response(split(response, reader))
        ),
    )


def from_response(response: Response) -> Judgement:
    """A judge's response as a judgement."""
    return Judgement(
        text=response.text,
        first_token_logprobs=response.first_token_logprobs,
        prompt_tokens=response.prompt_tokens,
        completion_tokens=response.completion_tokens,
        error=response.error and f"no judgement: {response.error}",
    )


def weigh(
    name: str,
    pairs: Sequence[tuple[tuple[int, int], Similarity]],
    answered: Callable[[tuple[int, int], Judgement], None],
) -> JsonObject:
    """Have an encoder answer, and describe it.

    Raises:
        OlmesError: it cannot be loaded; its questions failed, others stand.
    """
    from olmes.judging.similarity import SimilarityEncoder

    left = dict(enumerate(pairs))

    def weighed(position: int, judgement: Judgement) -> None:
        place, _ = left.pop(position)
        answered(place, judgement)

    try:
        encoder = SimilarityEncoder(name)
        encoder.judge([question for _, question in pairs], weighed)
        return encoder.describe()
    except OlmesError as error:
        for position in list(left):
            weighed(position, Judgement(error=f"no judgement: {error}"))
        raise
