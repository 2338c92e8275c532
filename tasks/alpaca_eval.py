"""AlpacaEval 2: a judge's preference over GPT-4 Turbo's output, length-controlled, 0-shot.

Tülu 3, section 7.2 and Table 24; Dubois et al. 2024 (arXiv 2404.04475). The judge says one token, and
the preference is the share of its probability that stands for the model's side. The judge's prompt is
read from the installed `alpaca-eval` package: docs/alpaca-eval.md.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from olmes import (
    DataFile,
    Doc,
    Formulation,
    Generation,
    Judgement,
    Message,
    Metric,
    Question,
    Request,
    Response,
    Scored,
    Source,
    Task,
    Verdict,
    exemplars,
    prompts,
    read_text,
)
from olmes.scoring.length_control import (
    FETCH,
    FILE_NAME,
    find_constants,
    is_published,
    length_controlled,
    read_constants,
)

PACKAGE = "alpaca_eval"
TEMPLATE = "evaluators_configs/alpaca_eval_clf_gpt4_turbo/alpaca_eval_clf.txt"
TEMPLATE_HASH = "3c64d3b026e76152"
TURN = re.compile(r"<\|im_start\|>(system|user)\n(.*?)<\|im_end\|>", re.DOTALL)
PLACEHOLDER = re.compile(r"\{(instruction|output_1|output_2)\}")
FIRST, SECOND = "m", "M"
"""How the prompt names the output that is shown first, and the other."""
ORDER = "is_switched_outputs{instruction}{seed}"
"""The seed of Python's generator that draws the order: alpaca_eval 0.6.6, processors.py."""
MARKS = "\"'`*“”‘’.,:;!()[] \n\t"
LONGEST_ANSWER = 60
DEMO = "olmes-demo"
"""The generator of the demo data's baseline outputs, which have constants of their own."""


@dataclass(frozen=True, kw_only=True)
class AlpacaEvalFormulation(Formulation):
    """With everything that fixes a judgement but the judge itself."""

    judge_prompt: str = f"{PACKAGE}/{TEMPLATE}, {TEMPLATE_HASH}"
    """Where the judge's prompt comes from, and the hash it is checked by."""
    preference: Literal["logprobs", "text"] = "logprobs"
    """What is read: the probabilities of the judge's first token, as published; or, for a judge that
    gives none, the one token it wrote, which is another measure."""
    judge_tokens: int = 1
    judge_temperature: float = 1.0
    """Without effect on probabilities; it is the protocol's."""
    top_logprobs: int = 5
    """How many of the judge's likeliest tokens are looked at."""
    order_seed: int = 0


class AlpacaEval(Task):
    """How much the judge prefers the response to the baseline's output, were both of one length."""

    name = "alpaca_eval"
    title = "AlpacaEval 2"
    judged = True
    extras = ("alpaca",)
    source = Source(
        files=(
            DataFile(
                path="alpaca_eval/reference.gpt4_1106_preview.model_outputs.json",
                github="tatsu-lab/alpaca_eval:results/gpt4_1106_preview/model_outputs.json"
                "@cd543a149df89434d8a54582c0151c0b945c3d20",
                sha256="83db546b872ddebee8965fd05fa48461ee3c32bc695c62fb57f2d214ff741ec4",
                rows=805,
            ),
        ),
        fields=("dataset", "instruction", "output", "generator"),
        question=("instruction",),
        answer=("output",),
        content_hash="03dbafb1a84f3b5eae85a90c714142a4e8c048798251fc4f0dc1e1475af8817d",
        licence="CC-BY-NC-4.0",
    )
    metrics = (
        Metric(
            name="lc_win_rate",
            help="the judge's mean preference, predicted for outputs of one length",
            settled=True,
        ),
        Metric(name="win_rate", help="the judge's mean preference; equal outputs count a half"),
        Metric(name="discrete_win_rate", help="share of responses preferred, ties a half"),
    )
    primary = "lc_win_rate"
    fixed = ("version", "shots", "exemplars", "answer", "multiturn", "extract", "judge_prompt")
    formulation: AlpacaEvalFormulation = AlpacaEvalFormulation(
        question="{instruction}",
        generation=Generation(max_tokens=8192),
    )

    def request(self, doc: Doc) -> Request:
        """The instruction as the one user turn."""
        form = self.formulation
        question = form.question.replace("{instruction}", doc["instruction"])
        messages = prompts.chat(question, description=form.description, final=form.final)
        return Request(messages=messages, prefill=form.prefill, generation=form.generation)

    def gold(self, doc: Doc) -> str:
        """The baseline's output."""
        output: str = doc["output"]
        return output

    def subtask(self, doc: Doc) -> str:
        """The collection that the instruction comes from."""
        collection: str = doc["dataset"]
        return collection

    def questions(self, doc: Doc, response: Response) -> tuple[Question, ...]:
        """One question; none where both outputs are the same text, which is a draw."""
        if response.text == doc["output"]:
            return ()
        form = self.formulation
        pair = (
            (response.text, doc["output"])
            if self.model_first(doc)
            else (doc["output"], response.text)
        )
        texts = {"instruction": doc["instruction"], "output_1": pair[0], "output_2": pair[1]}
        messages: tuple[Message, ...] = tuple(
            Message(role=role, content=filled(text, texts))  # type: ignore[typeddict-item]
            for role, text in judge_turns()
        )
        generation = Generation(max_tokens=form.judge_tokens, temperature=form.judge_temperature)
        wanted = form.top_logprobs if form.preference == "logprobs" else 0
        return (Request(messages=messages, generation=generation, top_logprobs=wanted),)

    def model_first(self, doc: Doc) -> bool:
        """Whether the model's response is shown first: drawn from the instruction alone."""
        seed = ORDER.format(instruction=doc["instruction"], seed=self.formulation.order_seed)
        return random.Random(seed).choices([False, True])[0]  # noqa: S311 (the published draw)

    def vote(self, extracted: Any) -> None:  # noqa: ARG002
        """None: what is extracted is which side the judge preferred, no answer."""
        return

    def score(
        self,
        doc: Doc,
        response: Response,  # noqa: ARG002 (the judge has seen it)
        judgements: Sequence[Judgement] = (),
    ) -> Verdict:
        """The share of the judge's probability that stands for the model's response.

        A judge whose likely tokens name no side leaves the response without a value: it is counted as
        unparsed, not as a loss.
        """
        if not judgements:
            return verdict(0.5, "the same text as the baseline's output")
        [judgement] = judgements
        read = self.formulation.preference
        first = first_share(judgement) if read == "logprobs" else first_said(judgement.text)
        if first is None:
            return Verdict(values={}, unparsed=True, note=unread(judgement, read))
        shown_first = self.model_first(doc)
        shown = f"the model as {FIRST if shown_first else SECOND}"
        return verdict(first if shown_first else 1.0 - first, shown)

    def data_notes(self) -> Sequence[str]:
        """Whether the constants of the length-controlled win rate are here, and the published ones."""
        if not self.official_data:
            return ()
        path = find_constants(self.data_folders)
        if path is None:
            return (
                f"no {FILE_NAME} is here, without which there is no lc_win_rate; fetch it "
                f"with `{FETCH}`, or put it at alpaca_eval/{FILE_NAME} in the "
                "folder of --data.",
            )
        if not is_published(path):
            return (f"{path} is not the published one, so that lc_win_rate is not comparable.",)
        return ()

    def settle(self, responses: Sequence[Scored]) -> Sequence[Mapping[str, float]]:
        """Each item's preference at equal lengths, by the published regression over all items.

        Nothing where its constants are not here, the items are not the official ones (the constants are
        theirs), or there are too few for a fit.
        """
        nothing: list[Mapping[str, float]] = [{} for _ in responses]
        path = find_constants(self.data_folders) if self.official_data else None
        if all(one.doc["generator"] == DEMO for one in responses):
            path = Path(__file__).parent / "demo/alpaca_eval-constants.jsonl"
        if path is None:
            return nothing
        found = length_controlled(
            [float(one.values["win_rate"]) for one in responses],
            [len(one.doc["output"]) - one.characters for one in responses],
            [one.doc_id for one in responses],
            read_constants(path),
        )
        return nothing if found is None else [{"lc_win_rate": value} for value in found]

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        """A response that only the oracle's judgement tells from a wrong one."""
        return Response(text="No." if corrupt else f"The best answer to: {doc['instruction']}")

    def perfect_judgements(
        self, doc: Doc, questions: Sequence[Question], *, corrupt: bool = False
    ) -> Sequence[Judgement]:
        """All probability on the model's side; on the baseline's when `corrupt`."""
        side = FIRST if self.model_first(doc) is not corrupt else SECOND
        return [Judgement(text=side, first_token_logprobs={side: 0.0}) for _ in questions]


@cache
def judge_turns() -> tuple[tuple[str, str], ...]:
    """Role and text of each turn of the judge's prompt, from the package that publishes it.

    Raises:
        OlmesError: the package is missing or holds another prompt.
    """
    text = read_text(exemplars.package_file(PACKAGE, TEMPLATE, extra="alpaca"))
    exemplars.checked(text, TEMPLATE_HASH, f"{PACKAGE}/{TEMPLATE}")
    return tuple((role, content.strip()) for role, content in TURN.findall(text))


def filled(template: str, texts: Mapping[str, str]) -> str:
    """The template with its placeholders replaced in one pass: what a text holds stays text."""
    return PLACEHOLDER.sub(lambda found: texts[found[1]], template)


def first_share(judgement: Judgement) -> float | None:
    """The probability of the first output's token among those of both; None where neither is likely.

    A token that is not among the likeliest counts as impossible (alpaca_eval 0.6.6, logprob_parser).
    """
    first, second = (
        judgement.first_token_logprobs.get(token, -math.inf) for token in (FIRST, SECOND)
    )
    if first == second == -math.inf:
        return None
    if first < second:  # so that no exponent is large
        odds = math.exp(first - second)
        return odds / (1.0 + odds)
    return 1.0 / (1.0 + math.exp(second - first))


def first_said(answer: str) -> float | None:
    """1 where the judge names the first output, 0 where the second; None where neither."""
    said = answer.strip(MARKS)
    return float(said == FIRST) if said in (FIRST, SECOND) else None


def unread(judgement: Judgement, read: str) -> str:
    """Why a judgement is no preference."""
    said = judgement.text.strip()[:LONGEST_ANSWER]
    if read == "logprobs" and not judgement.first_token_logprobs:
        return f"the judgement {said!r} has no log-probabilities"
    return f"the judge's answer {said!r} names neither {FIRST} nor {SECOND}"


def verdict(preference: float, note: str) -> Verdict:
    """A verdict with a value; its answer is the side that is preferred."""
    discrete = 0.5 if preference == 0.5 else float(preference > 0.5)
    side = {0.0: "baseline", 0.5: "tie", 1.0: "model"}[discrete]
    return Verdict(
        values={"win_rate": preference, "discrete_win_rate": discrete},
        extracted=side,
        note=note,
    )


TASK = AlpacaEval()
