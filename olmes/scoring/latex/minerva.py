r"""Answers as the Minerva protocol finds and normalises them.

Source: Lewkowycz et al. 2022 (Minerva), appendix D, in the form lm-eval 0.4.3 has and OLMES adds its
"flex" candidates to (docs/protocol.md, section 3.6). Known faults are kept, because published numbers
have them; docs/math-agreement.md lists them. Every step takes time linear in the text.
"""

from __future__ import annotations

import re

LINE = "Final Answer: The final answer is"
END = re.compile(r". I hope it is correct.")
"""What ends the answer; both dots stand for any character, as in the reference."""
APPENDED = "I hope it is correct."
"""Put after every response before the line is looked for, in case generation stopped early."""
NO_ANSWER = "[invalidanswer]"
"""The answer of a response without the line."""

SUBSTITUTED = (
    ("an ", ""),
    ("a ", ""),
    (".$", "$"),
    (r"\$", ""),
    ("\\ ", ""),
    (" ", ""),
    ("mbox", "text"),
    (r",\text{and}", ","),
    (r"\text{and}", ","),
    (r"\text{m}", r"\text{}"),
)
REMOVED = (
    *("square", "ways", "integers", "dollars", "mph", "inches", "ft", "hours", "km", "units"),
    *(r"\ldots", "sue", "points", "feet", "minutes", "digits", "cents", "degrees", "cm", "gm"),
    *("pounds", "meters", "meals", "edges", "students", "childrentickets", "multiples"),
    *(
        r"\text{s}",
        r"\text{.}",
        "\\text{\ns}",
        r"\text{}^2",
        r"\text{}^3",
        "\\text{\n}",
        r"\text{}",
    ),
    *(r"\mathrm{th}", r"^\circ", r"^{\circ}", r"\;", r",\!", "{,}", '"', r"\dots"),
)
"""Removed anywhere in this order, also inside words and commands: `\\left(` becomes `\\le(`."""


def minerva_answer(text: str) -> str | None:
    """The text between the protocol's closing words, stripped; None when they are not there.

    The first line (in the sense of newlines) that has both counts.
    """
    for line in (text + APPENDED).split("\n"):
        _, found, rest = line.partition(LINE)
        end = END.search(rest) if found else None
        if end:
            return rest[: end.start()].strip()
    return None


def boxed_answer(text: str) -> str | None:
    r"""What the last `\boxed{...}` holds, or follows the last `\boxed ` up to the next dollar.

    None when there is none, when it is not closed, or when it is an `\fbox`, which the protocol
    finds but never unwraps.
    """
    _, spaced, rest = text.rpartition(r"\boxed ")
    if spaced:
        return rest.split("$", 1)[0]
    _, found, rest = text.rpartition(r"\boxed")
    if not found or not rest.startswith("{"):
        return None
    depth = 0
    for brace in re.finditer(r"[{}]", rest):
        depth += 1 if brace.group() == "{" else -1
        if depth == 0:
            return rest[1 : brace.start()]
    return None


def between_dollars(text: str) -> str | None:
    """The text between the last two dollar signs; None when there are fewer."""
    parts = text.rsplit("$", 2)
    return parts[1] if len(parts) == 3 else None


def normalized(answer: str) -> str:
    r"""An answer in the protocol's normal form.

    Keeps what follows the last `=`, substitutes and removes what the two lists say, keeps of each
    line what its first two dollar signs enclose, unwraps `\text`, `\textbf`, `\overline` and
    `\boxed`, puts braces after `frac` and `sqrt`, and joins the digits of `1,000`.
    """
    answer = answer.rpartition("=")[2]
    for before, after in SUBSTITUTED:
        answer = answer.replace(before, after)
    for expression in REMOVED:
        answer = answer.replace(expression, "")
    if "$" in answer:
        answer = "\n".join(map(formula_of_line, answer.split("\n")))
    for command in (r"\text{", r"\textbf{", r"\overline{"):
        if command in answer:
            answer = unwrapped(answer, command)
    if r"\boxed{" in answer:
        answer = without_box(answer)
    answer = re.sub(r"frac([^{])(.)", r"frac{\1}{\2}", answer)
    answer = re.sub(r"sqrt([^{])", r"sqrt{\1}", answer)
    answer = answer.replace("$", "")
    digits = answer.replace(",", "")
    return digits if digits.isdigit() else answer


def formula_of_line(line: str) -> str:
    """The part between the first two dollar signs, with them; the line where there are fewer."""
    parts = line.split("$", 2)
    return f"${parts[1]}$" if len(parts) == 3 else line


def unwrapped(text: str, opening: str) -> str:
    """`text` without each `opening` and the first `}` that follows it on its line."""
    lines = []
    for line in text.split("\n"):
        out, at = [], 0
        while (start := line.find(opening, at)) >= 0:
            inner = start + len(opening)
            end = line.find("}", inner)
            if end < 0:
                break
            out += [line[at:start], line[inner:end]]
            at = end + 1
        lines.append("".join(out) + line[at:])
    return "\n".join(lines)


def without_box(text: str) -> str:
    r"""`text` without the first `\boxed{` of each line and the last `}` after it."""
    lines = []
    for line in text.split("\n"):
        before, found, rest = line.partition(r"\boxed{")
        inside, closed, after = rest.rpartition("}")
        lines.append(before + inside + after if found and closed else line)
    return "\n".join(lines)
