"""HREF: win rate against a fixed baseline on instructions with a human reference, 0-shot.

Tülu 3, section 7.3.2 and Table 48; Lyu et al. 2024 (arXiv 2412.15524). By category a language model
judges, with the human response before it or without, or an encoder compares both responses with it.
The judge's prompt is in our own words (`href.toml`) unless a file is given: docs/href.md.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from olmes import (
    DataFile,
    Doc,
    Formulation,
    Generation,
    HubSplit,
    Judgement,
    Message,
    Metric,
    OlmesError,
    Question,
    Request,
    Response,
    Similarity,
    Source,
    Task,
    Verdict,
    content_hash,
    prompts,
    read_text,
)

PROMPTS: dict[str, str] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
SYSTEM = "You are a helpful assistant that helps us rate an AI model's responses to instructions."

Method = Literal["L", "LH", "E"]
"""Judge without the human response, judge with it, embedding similarity with it (Table 48)."""

CATEGORIES: dict[str, Method] = {
    "Brainstorm": "L",
    "Open QA": "E",
    "Closed QA": "LH",
    "Extract": "LH",
    "Generation": "LH",
    "Rewrite": "LH",
    "Summarize": "L",
    "Classify": "LH",
    # In the private test set only.
    "Fact Checking or Attributed QA": "E",
    "Multi-Document Synthesis": "LH",
    "Reasoning Over Numerical Data": "LH",
}
# A prompt by its setting: what its file must hold, each in one of the spellings.
NEEDED = {
    "prompt": (
        ("{instruction}",),
        ("{output_1}",),
        ("{output_2}",),
        ("{output_human}", "{reference}"),
    ),
    "prompt_no_reference": (("{instruction}",), ("{output_1}",), ("{output_2}",)),
}
PLACEHOLDER = re.compile(r"\{(instruction|output_1|output_2|output_human|reference)\}")
# A template may come with the turns of ChatML or Llama 3 around it, as alpaca_eval's do.
TURN = re.compile(
    r"<\|im_start\|>(\w+)\n(.*?)(?:<\|im_end\|>|\Z)"
    r"|<\|start_header_id\|>(\w+)<\|end_header_id\|>(.*?)(?:<\|eot_id\|>|\Z)",
    re.DOTALL,
)
MARK = re.compile(r"<\|\w+\|>|\[/?INST\]|<</?SYS>>")
OPENING = "<|begin_of_text|>"
ANSWER = re.compile(
    r"""(?:the\ )?(?:final\ |better\ )?(?:(?:answer|response|output|verdict)(?:\ is)?[ :]*)?
    ["'`*“”‘’(\[]*(?:response\ |output\ )?(?P<said>a|b|(?:a\ )?tie)["'`*“”‘’.)\]]*""",
    re.IGNORECASE | re.VERBOSE,
)
LONGEST_ANSWER = 60


@dataclass(frozen=True, kw_only=True)
class HREFFormulation(Formulation):
    """With everything that fixes a judgement but the judge itself."""

    system: str = SYSTEM
    """The judge's system prompt, unless a prompt brings its own."""
    prompt: str = PROMPTS["with_reference"]
    """What the judge is asked where it sees the human response; set by the name of a file."""
    prompt_no_reference: str = PROMPTS["without_reference"]
    """What it is asked where it does not; set by the name of a file."""
    orders: Literal["seeded", "both"] = "seeded"
    """Which response is shown first: drawn item by item, or each once, as two questions."""
    order_seed: int = 42
    judge_tokens: int = 100
    """The most tokens of the judge's answer."""
    encoder: str = "roberta-large"
    """Hub id or folder of the encoder that BERTScore compares with."""


class HREF(Task):
    """A win over the baseline counts 1, a tie a half."""

    name = "href"
    title = "HREF"
    judged = True
    scoring_modules = ("olmes.judging.similarity",)
    source = Source(
        files=(DataFile(path="href/dev.jsonl", github="", sha256="", rows=430),),
        fields=("category", "instruction", "output", "generator", "reference"),
        question=("instruction",),
        answer=("reference",),
        content_hash="",  # the set is on the hub alone, and has not been seen by this project
        hub=(HubSplit(repository="allenai/href", split="dev"),),
        licence="ODC-BY",
    )
    metrics = (
        Metric(name="win_rate", help="share of responses preferred to the baseline's, ties half"),
    )
    primary = "win_rate"
    fixed = ("version", "shots", "exemplars", "answer", "multiturn", "extract")
    formulation: HREFFormulation = HREFFormulation(
        question="{instruction}",
        # The protocol leaves the length to each model's own configuration.
        generation=Generation(max_tokens=2048),
    )

    def with_settings(self, settings: Mapping[str, Any]) -> Self:
        """This task with fields of its formulation replaced; prompts are read from their files.

        The formulation, its hash and the record hold the text of a prompt; `settings` its file.

        Raises:
            OlmesError: there is no such field, the value does not fit, or a file is not a prompt.
        """
        if not settings:
            return self
        texts = {
            name: prompt_text(name, Path(str(value)).expanduser())
            for name, value in settings.items()
            if name in NEEDED
        }
        changed = super().with_settings({**settings, **texts})
        changed.settings = {**self.settings, **settings}
        return changed

    def request(self, doc: Doc) -> Request:
        """The instruction as the one user turn.

        Raises:
            OlmesError: the item's category is not one of HREF's, or its reference is missing.
        """
        if method(doc) != "L" and not (doc["reference"] or "").strip():
            raise OlmesError(
                f"an item of href's category '{doc['category']}' has no reference, with which its "
                f"response is compared; add one to the item '{doc['instruction'][:60]}'."
            )
        form = self.formulation
        question = form.question.replace("{instruction}", doc["instruction"])
        messages = prompts.chat(question, description=form.description, final=form.final)
        return Request(messages=messages, prefill=form.prefill, generation=form.generation)

    def gold(self, doc: Doc) -> dict[str, str]:
        """The baseline's response, and the human one."""
        return {"baseline": doc["output"], "reference": doc["reference"]}

    def subtask(self, doc: Doc) -> str:
        """The category, as a word."""
        method(doc)
        return re.sub(r"[^a-z]+", "_", doc["category"].lower())

    def questions(self, doc: Doc, response: Response) -> tuple[Question, ...]:
        """One question for the judge, or two with `orders=both`; or one for the encoder."""
        form = self.formulation
        if method(doc) == "E":
            pair = (response.text, doc["output"])
            reference = doc["reference"]
            return (Similarity(candidates=pair, reference=reference, encoder=form.encoder),)
        return tuple(self.comparison(doc, response, first) for first in self.model_first(doc))

    def model_first(self, doc: Doc) -> tuple[bool, ...]:
        """For each question, whether the model's response is shown as A.

        Drawn from the seed and the item, so that all models are shown in the same place.
        """
        form = self.formulation
        if form.orders == "both":
            return (True, False)
        drawn = content_hash([form.order_seed, doc["instruction"], doc["output"]])
        return (int(drawn, 16) % 2 == 1,)

    def comparison(self, doc: Doc, response: Response, first: bool) -> Request:
        """The judge's question, with the model's response as A when it is `first`."""
        form = self.formulation
        template = form.prompt if method(doc) == "LH" else form.prompt_no_reference
        pair = (response.text, doc["output"]) if first else (doc["output"], response.text)
        texts = {
            "instruction": doc["instruction"],
            "output_1": pair[0],
            "output_2": pair[1],
            "output_human": doc["reference"],
            "reference": doc["reference"],
        }
        turns = turns_of(template)
        if all(role != "system" for role, _ in turns) and form.system:
            turns.insert(0, ("system", form.system))
        messages: tuple[Message, ...] = tuple(
            # The roles were checked when the template was read.
            {"role": role, "content": filled(text, texts)}  # type: ignore[typeddict-item]
            for role, text in turns
        )
        return Request(messages=messages, generation=Generation(max_tokens=form.judge_tokens))

    def vote(self, extracted: Any) -> None:  # noqa: ARG002
        """None: what is extracted is which side the judge preferred, no answer."""
        return

    def score(
        self,
        doc: Doc,
        response: Response,  # noqa: ARG002 (the judge has seen it)
        judgements: Sequence[Judgement] = (),
    ) -> Verdict:
        """1 for a win over the baseline, 0.5 for a tie, 0 for a loss.

        With both orders it is the mean of the two. An answer that names no side leaves the response
        without a value: it is counted as unparsed, not as a loss.

        Raises:
            ValueError: there is not one judgement for each question.
        """
        if method(doc) == "E":
            (judgement,) = judgements
            return by_similarity(*judgement.similarities)
        wins: list[float] = []
        notes: list[str] = []
        for first, judgement in zip(self.model_first(doc), judgements, strict=True):
            said = verdict(judgement.text)
            if said is None:
                answer = judgement.text.strip()[:LONGEST_ANSWER]
                note = f"the judge's answer {answer!r} names neither A, B nor tie"
                return Verdict(values={}, unparsed=True, note=note)
            wins.append(0.5 if said == "tie" else float((said == "A") == first))
            notes.append(f"{said} with the model as {'A' if first else 'B'}")
        return settled(sum(wins) / len(wins), f"{method(doc)}: {', '.join(notes)}")

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        """The human response, which no text is nearer to than itself; nothing when `corrupt`."""
        return Response(text="" if corrupt else doc["reference"] or "")

    def perfect_judgements(
        self, doc: Doc, questions: Sequence[Question], *, corrupt: bool = False
    ) -> Sequence[Judgement]:
        """The model's side wins; the baseline's when `corrupt`; a tie where they are the same."""
        tie = not corrupt and self.perfect_values(doc)["win_rate"] == 0.5
        if method(doc) == "E":
            return [Judgement(similarities=(0.0 if corrupt else 1.0, 1.0 if tie else 0.5))]
        return [
            Judgement(text="tie" if tie else "A" if first is not corrupt else "B")
            for first, _ in zip(self.model_first(doc), questions, strict=True)
        ]

    def perfect_values(self, doc: Doc) -> dict[str, float]:
        """1, or a tie where the baseline is the human response itself."""
        same = doc["output"].strip() == (doc["reference"] or "").strip()
        return {"win_rate": 0.5 if same else 1.0}


def method(doc: Doc) -> Method:
    """How the item's category is judged.

    Raises:
        OlmesError: HREF has no such category.
    """
    category = doc["category"]
    if category not in CATEGORIES:
        raise OlmesError(
            f"href has no category '{category}'; write one of {', '.join(CATEGORIES)}."
        )
    return CATEGORIES[category]


def prompt_text(name: str, path: Path) -> str:
    """The text of a judge prompt's file.

    Raises:
        OlmesError: it cannot be read, a placeholder is missing, or cannot be split into turns.
    """
    setting = f"--set href.{name}={path}"
    if not path.is_file():
        raise OlmesError(f"{setting}: there is no such file; give the file of a judge prompt.")
    text = read_text(path)
    lacking = [
        " or ".join(spellings)
        for spellings in NEEDED[name]
        if not any(spelling in text for spelling in spellings)
    ]
    if lacking:
        raise OlmesError(f"{setting}: the file lacks {', '.join(lacking)}; add what is missing.")
    if name == "prompt_no_reference" and any(one in text for one in NEEDED["prompt"][-1]):
        raise OlmesError(
            f"{setting}: this judge sees no human response; take its placeholder out of the file."
        )
    turns = turns_of(text)
    roles = [role for role, _ in turns]
    if roles not in (["user"], ["system", "user"]) or any(MARK.search(one) for _, one in turns):
        raise OlmesError(
            f"{setting}: its chat template cannot be split into turns; give the user turn's text "
            "alone, or one system and one user turn in the marks of ChatML or Llama 3."
        )
    return text


def turns_of(template: str) -> list[tuple[str, str]]:
    """Role and text of each turn of a template; the text as it is, when it has no marks of turns.

    The model's own turn at the end, which only opens, is left out: the judge's chat template opens it.
    """
    found = list(TURN.finditer(template))
    if not found or TURN.sub("", template).removeprefix(OPENING).strip():
        return [("user", template.strip())]
    turns = [((turn[1] or turn[3]), (turn[2] or turn[4] or "").strip()) for turn in found]
    return turns[:-1] if turns[-1] == ("assistant", "") else turns


def filled(template: str, texts: Mapping[str, str]) -> str:
    """The template with its placeholders replaced in one pass: a text's own braces stay text."""
    return PLACEHOLDER.sub(lambda found: texts[found[1]], template)


def verdict(answer: str) -> Literal["A", "B", "tie"] | None:
    """What the judge's answer says, where it says one of the three and nothing else.

    Letters may be small or in quotes, and end with a full stop; "Answer:" or "Response" may stand
    before them. Anything else, a reason after the letter too, is not read.
    """
    answer = answer.strip()
    said = ANSWER.fullmatch(" ".join(answer.split())) if len(answer) <= LONGEST_ANSWER else None
    if said is None:
        return None
    word = said["said"].lower()
    return "A" if word == "a" else "B" if word == "b" else "tie"


def by_similarity(ours: float, theirs: float) -> Verdict:
    """The verdict on two similarities with the human response: the higher wins."""
    won = 0.5 if ours == theirs else float(ours > theirs)
    return settled(won, f"E: similarity {ours:.4f}, the baseline's {theirs:.4f}")


def settled(won: float, note: str) -> Verdict:
    """A verdict with a value; its answer is the side that is preferred."""
    side = "model" if won > 0.5 else "baseline" if won < 0.5 else "tie"
    return Verdict(values={"win_rate": won}, extracted=side, note=note)


TASK = HREF()
