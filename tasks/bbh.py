"""BIG-Bench Hard: 27 tasks, 3-shot chain of thought (Tülu 3, Table 24; Suzgun et al. 2022).

A multi-turn chat of each task's three worked examples. Two extractions are published under the same
name: `exact_match` is the later one (OLMES `bbh:cot-v1::tulu`), `exact_match_release` that of the
release (`bbh:cot::tulu`), which also gives the accuracies of the benchmark's authors.
"""

from __future__ import annotations

import re
import string
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any

from olmes import (
    DataFile,
    Doc,
    Formulation,
    Generation,
    HubSplit,
    Metric,
    Request,
    Response,
    Source,
    Task,
    Verdict,
    exemplars,
    prompts,
)
from olmes.scoring.answers.number import stated_number
from olmes.scoring.answers.sequences import BRACKETS, stated_brackets, stated_words
from olmes.scoring.answers.statement import stated_answer
from olmes.scoring.choices.letter import stated_letter
from olmes.scoring.choices.word import stated_word

SUBTASKS: dict[str, dict[str, Any]] = tomllib.loads(
    Path(__file__).with_suffix(".toml").read_text("utf-8")
)
ORIGINAL = "suzgunmirac/BIG-Bench-Hard:bbh/{}.json@9ee07bd481feebf959a6b59d61ea57bdcf30964d"
LETTER = r"\([A-Z]\)"

OPTION = re.compile(r"^\([A-Z]\) ?(.*)$", re.MULTILINE)
LABEL = re.compile(r"(?i)answer:")
NOUN = re.compile(r"(?i)answer\b")
RELEASE = re.compile(r"(?<=the answer is )(.*)(?=.)")
WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


class BBH(Task):
    """The answer of the closing sentence against the target, as either extraction finds it."""

    name = "bbh"
    title = "BIG-Bench Hard"
    source = Source(
        files=tuple(
            DataFile(
                path=f"bbh/{name}.json.gz",
                github=ORIGINAL.format(name),
                sha256=facts["sha256"],
                rows=facts["rows"],
                subtask=name,
            )
            for name, facts in SUBTASKS.items()
        ),
        hub=tuple(
            HubSplit(repository="lukaemon/bbh", config=name, split="test", subtask=name)
            for name in SUBTASKS
        ),
        fields=("input", "target"),
        question=("input",),
        answer=("target",),
        content_hash="57b765321c1fa7efa9cd4f171b07d1f6ba673108b573fecf883540ca0785f750",
        licence="MIT",
    )
    metrics = (
        Metric(
            name="exact_match",
            help="the last answer behind the first phrase that announces one, else the last anywhere; "
            "case and punctuation do not count",
        ),
        Metric(
            name="exact_match_release",
            help="what first follows 'the answer is ' on its line, without its last character; the "
            "paper's tables of ablations",
        ),
        Metric(
            name="exact_match_lenient",
            help="the one answer the response evidently gives, however it is written",
            honest=True,
        ),
    )
    primary = "exact_match"
    fixed = ("version", "exemplars", "description", "multiturn", "extract")
    formulation = Formulation(
        version=1,
        shots=3,
        exemplars="lm-eval bbh/cot_fewshot/*.yaml, b9a90486c1df2376",
        question="Q: {input}\nA: Let's think step by step.",
        answer="{target}",
        extract=(
            r"(?i)So the answer is (ANSWER)\.?",
            "(?i)answer is (ANSWER)",
            "(?i)answer:.*?(ANSWER)",
            r"(?i)answer\b.*?(ANSWER)",
            "(ANSWER)",
            "(?i)(ANSWER)",
        ),
        generation=Generation(max_tokens=512),
    )

    def request(self, doc: Doc) -> Request:
        """The sub-task's description and worked examples as turns, then the question."""
        form = self.formulation
        worked = worked_examples()[doc["subtask"]]
        shots = [
            (form.question.format(**shot), form.answer.format(**shot))
            for shot in self.take_shots(worked["shots"])
        ]
        messages = prompts.chat(
            form.question.format(input=doc["input"]),
            exemplars=shots,
            description=worked["description"],
            final=form.final,
            prefill=form.prefill,
        )
        return Request(messages=messages, prefill=form.prefill, generation=form.generation)

    def gold(self, doc: Doc) -> str:
        """The target as the file has it: a letter in brackets, a word, a number, a sequence."""
        return str(doc["target"])

    def score(self, doc: Doc, response: Response) -> Verdict:
        """Both published extractions, and what the response evidently answers."""
        about, gold, text = SUBTASKS[doc["subtask"]], self.gold(doc), response.text
        found, closing = extracted(text, about.get("answer", LETTER))
        stated = evident(doc, text, complete=response.finish != "length")
        kept = about["kind"] == "brackets"
        return Verdict(
            values={
                "exact_match": float(comparable(found, kept) == comparable(gold, kept)),
                "exact_match_release": float(released(text).lower() == gold.lower()),
                "exact_match_lenient": float(stated in evident_golds(doc)),
            },
            extracted=found or None,
            unparsed=stated is None,
            misformatted=not closing,
        )

    def vote(self, extracted: Any) -> str | None:
        """The answer without case, and brackets without blanks: `(B)` and `(b)` are one."""
        if not isinstance(extracted, str):
            return None
        plain = " ".join(extracted.lower().split())
        return (plain if re.search(r"\w", plain) else plain.replace(" ", "")) or None

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        """The exemplars' closing sentence with the target; with another answer when `corrupt`."""
        return Response(text=f"So the answer is {another(doc) if corrupt else self.gold(doc)}.")

    def perfect_values(self, doc: Doc) -> dict[str, float]:
        """What `perfect_response` scores: 1, but 0 on `exact_match` where the target is not found.

        A fault of the protocol's metric: the sorted words of 15 items hold an apostrophe or an
        ampersand, and three targets are an option's text where a letter is looked for.
        """
        readable = re.fullmatch(SUBTASKS[doc["subtask"]].get("answer", LETTER), self.gold(doc))
        return super().perfect_values(doc) | {"exact_match": float(readable is not None)}


def extracted(text: str, answer: str) -> tuple[str, bool]:
    """The later extraction's answer ('' for none), and whether the closing sentence gave it.

    The last match of the first template that has one (docs/protocol.md, section 3.4). The reference
    then unwraps dollars, quotes and the like, which none of the answers can begin with, and gives a
    bare letter its brackets back.
    """
    for template in (rf"(?i)So the answer is ({answer})\.?", f"(?i)answer is ({answer})"):
        if found := re.findall(template, text):
            return found[-1].strip(), template.startswith("(?i)So")
    anycase = re.compile(answer, re.IGNORECASE)
    last = last_after(LABEL, anycase, text) or last_after(NOUN, anycase, text)
    if last is None:
        found = re.findall(answer, text) or anycase.findall(text)
        last = found[-1] if found else ""
    return last.strip(), False


def last_after(label: re.Pattern[str], answer: re.Pattern[str], text: str) -> str | None:
    """The last match of `label.*?(answer)`, in linear time: no line is read twice.

    Where no answer follows a label on its line, none follows a later label on it either.
    """
    last, at = None, 0
    while found := label.search(text, at):
        end = text.find("\n", found.end())
        end = len(text) if end < 0 else end
        if answered := answer.search(text, found.end(), end):
            last, at = answered[0], answered.end()
        else:
            at = end
    return last


def released(text: str) -> str:
    """The release's answer: the lookahead leaves the last character of the line out."""
    found = RELEASE.search(text)
    return found[1].strip(".") if found else ""


def comparable(answer: str, punctuation: bool) -> str:
    """An answer as the later extraction compares it: without case, and mostly without punctuation."""
    return answer.lower() if punctuation else answer.lower().translate(WITHOUT_PUNCTUATION)


def evident(doc: Doc, text: str, *, complete: bool) -> str | None:
    """What the response evidently answers, in the form of `evident_golds`; None for nothing."""
    about = SUBTASKS[doc["subtask"]]
    match about["kind"]:
        case "word":
            return stated_word(text, about["words"], complete=complete)
        case "number":
            number = stated_number(text, complete=complete)
            return None if number is None else str(number)
        case "brackets":
            return stated_brackets(text)
        case "list":
            return " ".join(stated_words(text)) or None
        case "option" if not re.fullmatch(LETTER, doc["target"]):
            stated = stated_answer(text, complete=complete)
            return stated.text.strip(" .*\"'").lower() if stated else None
    return stated_letter(text, OPTION.findall(doc["input"]), complete=complete)


def evident_golds(doc: Doc) -> tuple[str, ...]:
    """What `evident` gives for a right response."""
    kind, target = SUBTASKS[doc["subtask"]]["kind"], str(doc["target"])
    if kind == "brackets":
        closing = target.replace(" ", "")
        # The whole sequence, with its given beginning, answers the question as well.
        return closing, "".join(BRACKETS.findall(doc["input"])) + closing
    # Three targets are texts that the options, cut at commas, do not have ("Monsters, Inc").
    letter = kind == "option" and re.fullmatch(LETTER, target)
    return (target.strip("()") if letter else target.lower(),)


def another(doc: Doc) -> str:
    """A wrong answer of the target's kind."""
    about, target = SUBTASKS[doc["subtask"]], str(doc["target"])
    match about["kind"]:
        case "word":
            return str(next(word for word in about["words"] if word != target.lower()))
        case "number":
            return str(int(target) + 1)
        case "brackets":
            return f"{target} )"
        case "list":
            return " ".join(reversed(target.split()))
    # One item has a single option; the next letter is wrong all the same.
    letters = string.ascii_uppercase[: max(2, len(OPTION.findall(doc["input"])))]
    return f"({letters[(letters.find(target.strip('()')) + 1) % len(letters)]})"


@lru_cache(maxsize=1)
def worked_examples() -> dict[str, dict[str, Any]]:
    """Each sub-task's `description` and its three `shots`, those of the benchmark's `cot-prompts`."""
    found = {}
    for name in SUBTASKS:
        about = exemplars.from_yaml("lm_eval", f"tasks/bbh/cot_fewshot/{name}.yaml")
        found[name] = {
            "description": about["description"],
            "shots": about["fewshot_config"]["samples"],
        }
    return exemplars.checked(found, "b9a90486c1df2376", "lm_eval/tasks/bbh/cot_fewshot")


TASK = BBH()
