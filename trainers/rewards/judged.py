"""What a judge says of a batch of responses, asked in one go."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from olmes.errors import OlmesError
from olmes.judging.judge import BudgetedModel, Judge
from olmes.judging.stage import from_response, weigh
from olmes.models.base import Model
from olmes.models.spec import load_model
from olmes.reasoning import split
from olmes.trainers.rewards.settings import RewardJudge
from olmes.types import Judgement, Question, Request, Response, Similarity

UNANSWERED = Judgement(error="no judgement: the judge did not answer")


class RewardingJudge:
    """The model of a recipe's [judge], loaded when it is first asked."""

    def __init__(self, settings: RewardJudge) -> None:
        self.settings = settings

    @cached_property
    def judge(self) -> Judge:
        """The model and what it may cost.

        Raises:
            OlmesError: there is no such model.
        """
        model = load_model(self.settings.model, batch_size=self.settings.batch_size)
        return Judge(model=model, budget=self.settings.budget)

    @property
    def model(self) -> Model:
        """The model alone."""
        return self.judge.model

    def judgements(self, cases: Sequence[Sequence[Question]]) -> list[list[Judgement]]:
        """The answers to what is asked about each response.

        A question that could not be answered has the reason as its `error`; nothing is made of it.
        """
        answers = [[UNANSWERED for _ in questions] for questions in cases]
        asked: list[tuple[tuple[int, int], Request]] = []
        compared: dict[str, list[tuple[tuple[int, int], Similarity]]] = {}
        for at, questions in enumerate(cases):
            for number, question in enumerate(questions):
                if isinstance(question, Similarity):
                    compared.setdefault(question.encoder, []).append(((at, number), question))
                else:
                    asked.append(((at, number), question))

        def answered(place: tuple[int, int], judgement: Judgement) -> None:
            answers[place[0]][place[1]] = judgement

        if asked:
            self.ask(asked, answers)
        for name, pairs in compared.items():
            try:
                weigh(name, pairs, answered)
            except OlmesError:
                continue  # each of its questions has the reason
        return answers

    def ask(
        self, asked: Sequence[tuple[tuple[int, int], Request]], answers: list[list[Judgement]]
    ) -> None:
        """Put questions to the model, and their answers where they belong."""
        reader = self.model.reader

        def done(position: int, response: Response) -> None:
            at, number = asked[position][0]
            answers[at][number] = from_response(split(response, reader))

        try:
            BudgetedModel(self.judge).generate([request for _, request in asked], done)
        except OlmesError as error:  # it refuses everything, or cannot be reached
            for (at, number), _ in asked:
                if answers[at][number] is UNANSWERED:
                    answers[at][number] = Judgement(error=f"no judgement: {error}")

    def close(self) -> None:
        """Free the model, if it was asked."""
        judge = self.__dict__.pop("judge", None)
        if judge is not None:
            judge.model.close()
