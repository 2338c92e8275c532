"""The stand-alone prompts of IFEval-OOD for tables and a quiz, with arguments (see `fresh_custom`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random
from typing import Self

from olmes.errors import OlmesError
from olmes.scoring.constraints.fresh import lists as lists
from olmes.scoring.constraints.ifbench import tables as ood_tables
from olmes.scoring.constraints.ifbench.base import OodConstraint, require_at_least


@dataclass(frozen=True)
class QuizLengths(OodConstraint):
    """Questions of growing length with five options each."""

    id = "custom:mcq_count_length"
    instruction = (
        'Generate {count} multiple choice questions with 5 options each about "{topic}". Each '
        'question should start with the label "Question". The questions should get progressively '
        "longer. Do not provide an explanation."
    )

    topic: str
    count: int

    def __post_init__(self) -> None:
        require_at_least(2, count=self.count)

    def check(self, text: str) -> bool:
        """Lines that begin with "Question" part the text; options run from A to E; nothing follows."""
        return ood_tables.is_growing_quiz(text, self.count)

    def example(self) -> str:
        """The same question, with one word more each time."""
        options = "\n".join(f"{letter}) Work {letter}" for letter in "ABCDE")
        asked = (f"Who made{' and made' * n} it?" for n in range(self.count))
        return "\n\n".join(f"Question {n}: {q}\n{options}" for n, q in enumerate(asked, 1))

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """Three to six questions on one of our topics."""
        return cls(rng.choice(lists.QUIZ_TOPICS), rng.randint(3, 6))


@dataclass(frozen=True)
class _Table(OodConstraint):
    """A table of five columns."""

    columns: tuple[str, ...]
    count: int
    """Rows below the names."""

    def __post_init__(self) -> None:
        require_at_least(1, count=self.count)
        if len(self.columns) != 5 or not all(map(str.isalnum, self.columns)):
            raise OlmesError(
                "the argument 'columns' must be five names of letters and digits, "
                f"not {', '.join(self.columns)}; correct the item's kwargs."
            )

    def describe(self) -> str:
        """The instruction with the names as a list in brackets."""
        return self.instruction.format(columns=json.dumps(self.columns), count=self.count)

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """One of our sets of columns and 3 to 15 rows."""
        return cls(rng.choice(lists.COLUMNS), rng.randint(3, 15))


@dataclass(frozen=True)
class CsvCity(_Table):
    """A comma-separated table."""

    id = "custom:csv_city"
    instruction = (
        "Generate CSV data: The column names are {columns}, the data should be comma delimited. "
        "Please generate {count} rows."
    )

    def check(self, text: str) -> bool:
        """The names as asked for and so many rows of five fields; blank lines do not count."""
        return ood_tables.is_plain_table(text, self.columns, self.count)

    def example(self) -> str:
        """The same row throughout."""
        return "\n".join([",".join(self.columns), *["1,two,three,4,5"] * self.count])


@dataclass(frozen=True)
class CsvSpecialCharacter(_Table):
    """A comma-separated table with a special character in quotes."""

    id = "custom:csv_special_character"
    instruction = (
        "Generate CSV data: The column names are {columns}, the data should be comma delimited. "
        "Please generate {count} rows. Add one field which contains a special character and enclose "
        "it in double quotes."
    )

    def check(self, text: str) -> bool:
        """Some quoted field holds something other than letters, digits, underscores and blanks."""
        return ood_tables.is_special_table(text, self.columns, self.count)

    def example(self) -> str:
        """A quoted field in every row."""
        return "\n".join([",".join(self.columns), *['1,two,"B&B",4,5'] * self.count])


@dataclass(frozen=True)
class CsvQuotes(_Table):
    """A tab-separated table, each field of which is quoted."""

    id = "custom:csv_quotes"
    instruction = (
        "Generate CSV data: The column names are {columns}, the data should be tab delimited. Please "
        "generate {count} rows and enclose each single field in double quotes."
    )

    def check(self, text: str) -> bool:
        """Blank lines do not count; the header is quoted too."""
        without = ood_tables.without_blank_lines(text)
        return ood_tables.is_quoted_table(without, self.columns, self.count)

    def example(self) -> str:
        """The same row throughout."""
        rows = [self.columns, *[("1", "two", "three", "4", "5")] * self.count]
        return "\n".join("\t".join(f'"{field}"' for field in row) for row in rows)
