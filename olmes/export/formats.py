"""A leaderboard as text for a paper, a notebook or another program."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from olmes import jsonl
from olmes.errors import OlmesError
from olmes.export.frame import number_rows
from olmes.leaderboard import leaderboard
from olmes.record import Record

Format = Literal["md", "csv", "latex", "parquet", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)
SUFFIXES: Mapping[str, Format] = {
    ".md": "md", ".csv": "csv", ".tex": "latex", ".parquet": "parquet", ".json": "json",
}  # fmt: skip
LATEX_SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
        "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    }
)  # fmt: skip
ALPHA = 0.05


def export(records: Sequence[Record], form: Format, output: Path | None) -> str | None:
    """Records in one of the formats; written to `output`, or returned as text.

    `md` and `latex` are a table with one row a run; `csv`, `parquet` and `json` have one row a
    number (`olmes.load`).

    Raises:
        OlmesError: `parquet` without a file to write, or the file cannot be written.
    """
    if form in ("md", "latex"):
        board = leaderboard(records)
        text = markdown(board) if form == "md" else latex(board)
    elif form == "json":
        text = jsonl.dumps(list(number_rows(records))) + "\n"
    else:
        import pandas

        frame = pandas.DataFrame(list(number_rows(records)))
        if form == "parquet":
            if output is None:
                raise OlmesError("parquet is no text; name a file with -o FILE.parquet.")
            output.parent.mkdir(parents=True, exist_ok=True)
            frame.to_parquet(output, index=False)
            return None
        text = frame.to_csv(index=False)
    if output is None:
        return text
    jsonl.write_atomically(output, text)
    return None


def markdown(board: dict[str, Any]) -> str:
    """A Markdown table: score ± half of the 95 % interval, best in bold."""
    heads = ["model", *(key for key, _ in shown_columns(board))]
    lines = [
        "| " + " | ".join(heads) + " |",
        "|---|" + "---:|" * (len(heads) - 1),
    ]
    lines += [
        "| " + " | ".join([escaped(row[0]), *row[1:]]) + " |"
        for row in table(board, lambda text: f"**{text}**", " ± ", "–", "†")
    ]
    return "\n".join([*lines, "", *notes(board), ""])


def escaped(text: str) -> str:
    """A name that cannot end its cell."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def latex(board: dict[str, Any]) -> str:
    """A LaTeX table (booktabs): best in bold, † where the difference from the best is not shown."""
    heads = ["Model", *(title for _, title in shown_columns(board))]
    rows = table(board, lambda text: rf"\textbf{{{text}}}", r"\,$\pm$\,", "--", r"$^\dagger$")
    body = [" & ".join([row[0].translate(LATEX_SPECIAL), *row[1:]]) + r" \\" for row in rows]
    return "\n".join(
        [
            r"% \usepackage{booktabs}",
            rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
            r"\toprule",
            " & ".join(head.translate(LATEX_SPECIAL) for head in heads) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            *(f"% {note}" for note in notes(board)),
            "",
        ]
    )


def shown_columns(board: dict[str, Any]) -> list[tuple[str, str]]:
    """Key and title of each column with a number, the suites' mean last."""
    entries = board["ranked"] or board["apart"]
    titles = {
        column["key"]: column["title"] + column["key"].removeprefix(column["task"])
        for column in board["columns"]
    } | {"suite": "Mean"}
    return [(key, title) for key, title in titles.items() if any(number(e, key) for e in entries)]


def table(
    board: dict[str, Any], bold: Callable[[str], str], pm: str, missing: str, mark: str
) -> list[list[str]]:
    """The cells of a table: ranked runs; when there are none, all the others."""
    entries = board["ranked"] or board["apart"]
    keys = [key for key, _ in shown_columns(board)]
    better = {c["key"]: c["higher_is_better"] for c in board["columns"]} | {"suite": True}
    # Numbers that are not ranked have no best.
    best = {key: best_of(board["ranked"], key, better=better[key]) for key in keys}
    rows = []
    for position, entry in enumerate(entries):
        row = [entry["run"]["name"]]
        for key in keys:
            text = cell(number(entry, key), pm, missing)
            if position in best[key]:
                text = bold(text)
            elif best[key] and alike(board["pairs"], key, position, best[key]):
                text += mark
            row.append(text)
        rows.append(row)
    return rows


def number(entry: dict[str, Any], key: str) -> dict[str, Any] | None:
    """An entry's estimate in a column, or its suite's mean."""
    found = entry["suite"] if key == "suite" else entry["cells"].get(key)
    return found if found and found["value"] is not None else None


def best_of(entries: Sequence[dict[str, Any]], key: str, *, better: bool) -> set[int]:
    """Positions of the best of a column, which may be several; none where one run is alone."""
    values = {p: n["value"] for p, e in enumerate(entries) if (n := number(e, key))}
    if len(values) < 2:
        return set()
    top = max(values.values()) if better else min(values.values())
    return {position for position, value in values.items() if value == top}


def alike(pairs: dict[str, list[dict[str, Any]]], key: str, position: int, best: set[int]) -> bool:
    """Whether a run was held against the best of a column and no difference was shown."""
    for pair in pairs.get(key, ()):
        if {pair["a"], pair["b"]} == {position, min(best)}:
            if "p_adjusted" in pair:
                return bool(pair["p_adjusted"] >= ALPHA)
            return pair["ci_low"] is not None and pair["ci_low"] <= 0 <= pair["ci_high"]
    return False


def cell(estimate: dict[str, Any] | None, pm: str, missing: str) -> str:
    """`71.2 ± 1.4`: a score in percent and half the width of its 95 % interval."""
    if estimate is None:
        return missing
    text = f"{100 * estimate['value']:.1f}"
    if estimate["ci_low"] is None:
        return text
    return f"{text}{pm}{50 * (estimate['ci_high'] - estimate['ci_low']):.1f}"


def notes(board: dict[str, Any]) -> list[str]:
    """What a reader must know of the table."""
    said = [
        "Percent ± half of the 95 % interval; † no difference from the best is shown (p ≥ 0.05)."
    ]
    for entry in board["apart"]:
        reasons = ", ".join(entry["why_not"])
        name = entry["run"]["name"]
        said.append(
            f"{'Not comparable' if not board['ranked'] else 'Left out'}: {name} ({reasons})."
        )
    for entry in board["ranked"]:
        if held := entry["run"]["held_out"]:
            dev = held["dev"]
            then = f"{dev['suite']} score then {cell(dev, ' ± ', '–')}" if dev else "no dev score"
            said.append(
                f"{entry['run']['name']}: held-out tasks looked at after {held['looks_before']} "
                f"earlier looks of the family {held['family']}; {then}."
            )
    return said
