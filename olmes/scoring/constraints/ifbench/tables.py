"""Stand-alone prompts for tables and a quiz (docs/protocol.md, section 4.6.1, `custom:*`)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from olmes.scoring.constraints.ifbench.base import OodConstraint

CITY = ("ID", "Country", "City", "Year", "Count")
PRODUCT = ("ProductID", "Category", "Brand", "Price", "Stock")
STUDENT = ("StudentID", "Subject", "Grade", "Semester", "Score")
SPECIAL = re.compile(r"[^\w\s]")
OPTION = re.compile(r"\s*([A-Ea-e])[.)]\s*\w")
PUBLISHED_OPTION = re.compile(r"[A-Ea-e][.|)]\s*\w+")
PUBLISHED_LABEL = re.compile(r"Question \d+[.|):;]?\s*")
LABEL = re.compile(r"[*#\s]*Question\b[\s\d]*[.:;)*-]*", re.IGNORECASE)


def table(text: str, delimiter: str = ",", *, keep_quotes: bool = False) -> list[list[str]]:
    """The rows of a CSV text; none where it is broken.

    With `keep_quotes`, a quoted field keeps its quotation marks.
    """
    text = text.replace('"', '"""') if keep_quotes else text
    try:
        return list(csv.reader(io.StringIO(text), delimiter=delimiter))
    except csv.Error:  # A bare carriage return, or a field of more than 128 KiB.
        return []


def has_header(text: str, names: Sequence[str], between: str) -> bool:
    """Whether the first line holds the names, quoted or not, with the expression between them."""
    pattern = between.join(f'(?:{name}|"{name}")' for name in names)
    return bool(re.fullmatch(pattern, text.split("\n")[0].strip()))


def has_special(field: str) -> bool:
    """Whether a field begins with a quoted text that holds a special character.

    Special is what is not a letter, digit, underscore or blank; the text is on one line.
    """
    line = field.split("\n")[0]
    return line.startswith('"') and bool(SPECIAL.search(line[1 : max(line.rfind('"'), 1)]))


def is_shaped(rows: Sequence[Sequence[str]], count: int) -> bool:
    """Whether there are a header and `count` rows, all of five fields."""
    return len(rows) == count + 1 and all(len(row) == 5 for row in rows)


def is_plain_table(text: str, names: Sequence[str], count: int) -> bool:
    """Whether a text is the names as given and `count` rows; blank lines do not count."""
    rows = [row for row in table(text.strip()) if row]
    return is_shaped(rows, count) and [name.strip() for name in rows[0]] == list(names)


def is_special_table(text: str, names: Sequence[str], count: int) -> bool:
    """Whether a text is a table as above, some quoted field of which holds a special character."""
    rows = [row for row in table(text.strip(), keep_quotes=True) if row]
    return (
        has_header(text.lstrip(), names, r",[ \t]*")
        and is_shaped(rows, count)
        and any(has_special(field.strip()) for row in rows[1:] for field in row)
    )


def is_quoted_table(text: str, names: Sequence[str], count: int) -> bool:
    """Whether a text is `count` rows below the names, parted by tabs, with every field quoted."""
    rows = table(text, "\t", keep_quotes=True)
    fields = [field.strip() for row in rows for field in row]
    return (
        has_header(text, names, r"\t *")
        and is_shaped(rows, count)
        and all(field.startswith('"') and field.endswith('"') for field in fields)
    )


def without_blank_lines(text: str) -> str:
    """`text` with only those lines that hold something."""
    return "\n".join(filter(str.strip, text.split("\n")))


@dataclass(frozen=True)
class CsvCity(OodConstraint):
    """A comma-separated table of seven rows."""

    id = "custom:csv_city"
    instruction = (
        'Generate CSV data: The column names are ["ID", "Country", "City", "Year", "Count"], the '
        "data should be comma delimited. Please generate 7 rows."
    )

    def check(self, text: str) -> bool:
        """The names as asked for and seven rows of five fields; blank lines do not count."""
        return is_plain_table(text, CITY, 7)

    def reference(self, text: str) -> bool:
        """A blank line is a row."""
        rows = table(text)
        return is_shaped(rows, 7) and rows[0] == list(CITY)

    def example(self) -> str:
        """Seven rows."""
        return "\n".join([",".join(CITY), *(f"{n},Peru,Lima,2001,{n}" for n in range(7))])


@dataclass(frozen=True)
class CsvSpecialCharacter(OodConstraint):
    """A comma-separated table of fourteen rows with a special character in quotes."""

    id = "custom:csv_special_character"
    instruction = (
        'Generate CSV data: The column names are ["ProductID", "Category", "Brand", "Price", '
        '"Stock"], the data should be comma delimited. Please generate 14 rows. Add one field '
        "which contains a special character and enclose it in double quotes."
    )

    def check(self, text: str) -> bool:
        """Some quoted field holds other than word characters and blanks; all rows have five."""
        return is_special_table(text, PRODUCT, 14)

    def reference(self, text: str) -> bool:
        """Rows after the one with the special character may be of any length."""
        rows = table(text, keep_quotes=True)
        if not has_header(text, PRODUCT, r",[ \t]*") or len(rows) != 15:
            return False
        for row in rows[1:]:
            if len(row) != 5:
                return False
            if any(map(has_special, row)):
                return True
        return False

    def example(self) -> str:
        """Fourteen rows."""
        return "\n".join([",".join(PRODUCT), *(f'{n},Toys,"B&B",5,{n}' for n in range(14))])


@dataclass(frozen=True)
class CsvQuotes(OodConstraint):
    """A tab-separated table of three rows, each field of which is quoted."""

    id = "custom:csv_quotes"
    instruction = (
        'Generate CSV data: The column names are ["StudentID", "Subject", "Grade", "Semester", '
        '"Score"], the data should be tab delimited. Please generate 3 rows and enclose each '
        "single field in double quotes."
    )

    def check(self, text: str) -> bool:
        """Blank lines do not count; the header is quoted too."""
        return self.reference(without_blank_lines(text))

    def reference(self, text: str) -> bool:
        """A blank line is a row."""
        return is_quoted_table(text, STUDENT, 3)

    def example(self) -> str:
        """Three rows."""
        rows = [STUDENT, *((str(n), "Art", "A", "Fall", "90") for n in range(3))]
        return "\n".join("\t".join(f'"{field}"' for field in row) for row in rows)


@dataclass(frozen=True)
class QuizLengths(OodConstraint):
    """Four questions of growing length with five options each."""

    id = "custom:mcq_count_length"
    instruction = (
        'Generate 4 multiple choice questions with 5 options each about "20th century art '
        'history". Each question should start with the label "Question". The questions should get '
        "progressively longer. Do not provide an explanation."
    )

    def check(self, text: str) -> bool:
        """Lines that begin with "Question" part the text; options run from A to E; nothing follows.

        The length of a question is in characters, without its label.
        """
        return is_growing_quiz(text, 4)

    def reference(self, text: str) -> bool:
        """Any five options will do, and anything may stand between and after them."""
        if not text.startswith("Question"):
            return False
        blocks = [block.strip() for block in PUBLISHED_LABEL.split(text) if block.strip()]
        lengths: list[int] = []
        for block in blocks:
            lines = [line.strip() for line in block.split("\n")]
            options = [n for n, line in enumerate(lines) if PUBLISHED_OPTION.match(line)]
            if len(options) != 5:
                return False
            lengths.append(len(" ".join(lines[: options[0]]).strip()))
        return len(blocks) == 4 and all(a < b for a, b in pairwise(lengths))

    def example(self) -> str:
        """Four questions."""
        options = "\n".join(f"{letter}) Work {letter}" for letter in "ABCDE")
        asked = ("Who?", "Who made it?", "Who made it in Paris?", "Who made it in Paris in 1920?")
        return "\n\n".join(f"Question {n}: {q}\n{options}" for n, q in enumerate(asked, 1))


def is_growing_quiz(text: str, count: int) -> bool:
    """Whether a text is `count` questions with options from A to E, each longer than the last."""
    asked = [_question_text(block) for block in _questions(text)]
    return (
        len(asked) == count and "" not in asked and all(len(a) < len(b) for a, b in pairwise(asked))
    )


def _questions(text: str) -> list[list[str]]:
    """The lines of each question, blank ones left out; none where something stands before."""
    blocks: list[list[str]] = []
    for line in filter(str.strip, text.split("\n")):
        if LABEL.match(line):
            blocks.append([line])
        elif blocks:
            blocks[-1].append(line)
        else:
            return []
    return blocks


def _question_text(lines: Sequence[str]) -> str:
    """What a question asks; empty where its options are not five from A to E at its end."""
    asked, options = lines[:-5], lines[-5:]
    letters = [found[1].lower() for found in map(OPTION.match, options) if found]
    if letters != list("abcde") or any(map(OPTION.match, asked)):
        return ""
    return LABEL.sub("", " ".join(line.strip() for line in asked), count=1).strip()
