"""A panel of judges asked about the texts of prompts, one question a judge, a prompt and an aspect."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from olmes.synthesis.preferences.aspects import Aspect, judge_request
from olmes.synthesis.preferences.orders import drawn_order, rotated
from olmes.synthesis.preferences.panel import Answer, Judged, Sheet
from olmes.synthesis.preferences.ratings import NOT_APPLICABLE, Reading, read_ratings
from olmes.synthesis.preferences.recipe import RecipeJudge
from olmes.synthesis.prompts import Prompts
from olmes.synthesis.session import Session, SynthesisModel
from olmes.types import Message, Request

AGAIN_TEMPERATURE = 0.7
"""At which a greedy judge is asked once more."""


@dataclass(frozen=True, slots=True)
class Case:
    """Texts that are to be rated."""

    id: str
    prompt: tuple[Message, ...]
    answers: tuple[Answer, ...]


@dataclass
class Sheets:
    """What came of asking."""

    judged: list[Judged] = field(default_factory=list)
    """Cases that every judge has answered on every aspect, in the order given."""
    unfinished: int = 0
    """Cases with a question that failed or did not fit into the budget."""
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    """By judge: questions (`asked`), put once more because a rating could not be read (`again`);
    ratings wanted (`ratings`), not read even then (`unread`), N/A (`not applicable`)."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a judge is asked about a case on an aspect."""

    case: Case
    aspect: Aspect
    order: tuple[int, ...]
    rotation: int
    request: Request

    @property
    def key(self) -> str:
        """Its name in the journal."""
        return f"{self.case.id} {self.aspect.name}"

    def read(self, answer: str) -> Reading:
        """The ratings in an answer, by place."""
        return read_ratings(answer, len(self.order), self.aspect)


def judge_cases(
    cases: Sequence[Case],
    judges: Mapping[str, SynthesisModel],
    aspects: Sequence[Aspect],
    prompts: Prompts,
    session: Session,
    *,
    seed: int,
    of: str = "",
) -> Sheets:
    """Have every judge rate every case on every aspect.

    An answer in which a text has no rating that can be read is asked for once more, with the next
    seed and never greedily; of the two the one with more ratings counts.

    Args:
        cases: what is rated.
        judges: by name.
        aspects: in the order in which the texts are rotated.
        prompts: whose words are used.
        session: asks.
        seed: the recipe's.
        of: what the cases are, for the screen.

    Raises:
        OlmesError: a judge refuses all questions alike.
    """
    found = Sheets(counts={name: Counter() for name in judges})
    sheets: dict[str, list[Sheet | None]] = defaultdict(list)
    for name, judge in judges.items():
        questions = [
            question_of(case, name, judge, aspect, rotation, prompts, seed)
            for case in cases
            for rotation, aspect in enumerate(aspects)
        ]
        for question, sheet in zip(
            questions,
            answered(questions, name, judge, session, found.counts[name], of),
            strict=True,
        ):
            sheets[question.case.id].append(sheet)
    for case in cases:
        whole = [sheet for sheet in sheets[case.id] if sheet is not None]
        if len(whole) == len(judges) * len(aspects):
            found.judged.append(Judged(case.id, case.prompt, case.answers, tuple(whole)))
        else:
            found.unfinished += 1
    return found


def question_of(
    case: Case,
    name: str,
    judge: SynthesisModel,
    aspect: Aspect,
    rotation: int,
    prompts: Prompts,
    seed: int,
) -> Question:
    """What a judge is asked about a case on an aspect."""
    order = rotated(drawn_order(seed, case.id, name, len(case.answers)), rotation)
    request = judge_request(
        prompts,
        aspect,
        instruction_of(case.prompt),
        [case.answers[number].text for number in order],
        judge.table.generation(seed),
    )
    if isinstance(judge.table, RecipeJudge):
        request = replace(request, prefill=judge.table.prefill)
    return Question(case, aspect, tuple(order), rotation, request)


def instruction_of(turns: Sequence[Message]) -> str:
    """What is asked, in one text: a question alone as it is, a chat with its speakers named."""
    if len(turns) == 1:
        return turns[0]["content"]
    return "\n\n".join(f"{turn['role'].capitalize()}: {turn['content']}" for turn in turns)


def answered(
    questions: Sequence[Question],
    name: str,
    judge: SynthesisModel,
    session: Session,
    counts: Counter[str],
    of: str,
) -> list[Sheet | None]:
    """What one judge says; None for a question that failed."""
    stage = f"judge: {name}{of and f', {of}'}"
    first = session.ask(stage, judge, [(one.key, one.request) for one in questions])
    readings: list[Reading | None] = [
        None if response.error else question.read(prefilled(question, response.text))
        for question, response in zip(questions, first, strict=True)
    ]
    again = [at for at, reading in enumerate(readings) if reading and reading.unread]
    if again:
        second = session.ask(
            f"{stage}, again",
            judge,
            [(questions[at].key, once_more(questions[at].request)) for at in again],
        )
        for at, response in zip(again, second, strict=True):
            if response.error:
                readings[at] = None
                continue
            other = questions[at].read(prefilled(questions[at], response.text))
            readings[at] = min(readings[at] or other, other, key=lambda one: one.unread)
    counts["asked"] += len(questions)
    counts["again"] += len(again)
    found: list[Sheet | None] = []
    for question, reading in zip(questions, readings, strict=True):
        if reading is None:
            found.append(None)
            continue
        counts["ratings"] += len(reading.ratings)
        counts["unread"] += reading.unread
        counts["not applicable"] += reading.ratings.count(NOT_APPLICABLE)
        found.append(
            Sheet(name, question.aspect.name, question.order, question.rotation, reading.ratings)
        )
    return found


def once_more(request: Request) -> Request:
    """The same question with the next seed, sampled: greedily the same words would come back."""
    generation = request.generation
    if not generation.temperature:
        generation = replace(generation, temperature=AGAIN_TEMPERATURE)
    return replace(request.repeated(1), generation=generation)


def prefilled(question: Question, answer: str) -> str:
    """A judge's answer with the first words that it was given."""
    return question.request.prefill + answer
