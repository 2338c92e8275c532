"""`olmes decontaminate`: training data held against the items of evaluations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from olmes.cli import completion, options
from olmes.errors import OlmesError

if TYPE_CHECKING:
    from olmes.decontamination.against import Against
    from olmes.decontamination.clean import Cleaned
    from olmes.decontamination.findings import Findings
    from olmes.decontamination.look_through import LookThrough
    from olmes.decontamination.published_overlaps import Beside
    from olmes.rows.sources import Source


@click.command("decontaminate")
@click.argument("names", nargs=-1, metavar="DATA...")
@click.option(
    "--against", multiple=True, metavar="SUITE|TASK|FILE,...",
    shell_complete=completion.suites_and_tasks,
    help="Suites, tasks, or their files, with commas or a pattern ('mmlu*'); may be repeated.",
)  # fmt: skip
@click.option(
    "--fields", default="question", show_default=True, metavar="question,answer",
    help="What of an item is compared.",
)  # fmt: skip
@click.option(
    "--field", "row_fields", multiple=True, metavar="NAME",
    help="Where rows have what is compared; may be repeated.  [default: what a person says]",
)  # fmt: skip
@click.option("--config", default="", help="Configuration of a hub data set.")
@click.option("--split", default="train", show_default=True, help="Split of a hub data set.")
@options.data_option
@click.option(
    "--out", "clean", type=click.Path(path_type=Path, file_okay=False), metavar="CLEAN",
    help="Folder for the data without what overlaps.",
)  # fmt: skip
@click.option(
    "--report", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
    help="Folder for a page, the pairs and the counts.",
)  # fmt: skip
@click.option(
    "--lineage", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
    help="Folder of a training on DATA, whose checkpoints are to say what was found.",
)  # fmt: skip
@click.option(
    "--store", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"),
    show_default=True, help="Folder of the ledger that counts of held-out tasks are written into.",
)  # fmt: skip
@click.option(
    "--processes", type=click.IntRange(min=1), help="How many work at once.  [default: one a core]"
)
@click.option(
    "--check-published", is_flag=True,
    help="Hold the paper's own training sets, as far as they are here, against its numbers.",
)  # fmt: skip
@options.json_option
@options.verbose_option
def command(
    names: tuple[str, ...],
    against: tuple[str, ...],
    fields: str,
    row_fields: tuple[str, ...],
    config: str,
    split: str,
    data: tuple[Path, ...],
    clean: Path | None,
    report: Path | None,
    lineage: Path | None,
    store: Path,
    processes: int | None,
    check_published: bool,
    as_json: bool,
) -> int:
    """Look through DATA (files, or data sets of the hub) for the items of evaluations.

    An item overlaps with a row when more than half of its words stand in runs of eight that the row has
    too; data are contaminated where more than 2 % of an evaluation's items overlap. Of held-out tasks
    counts alone are shown, and are written into the ledger.

    Exit status 0: no data set is contaminated. 1: one is. 2: the input needs fixing.
    """
    from olmes.decontamination.clean import check_folder, write_clean
    from olmes.decontamination.look_through import LookThrough
    from olmes.rows.sources import HubRows, find_source
    from olmes.seal.ledger import Ledger
    from olmes.trainers.checkpoints.lineage import add_overlap, checkpoints_to_tell
    from olmes.trainers.data.bundled import bundled_data

    check_arguments(
        names, against, {"--out": clean, "--report": report, "--lineage": lineage},
        check_published=check_published,
    )  # fmt: skip
    chosen = item_fields(fields)
    wanted = HubRows(split=split, config=config)
    ledger = Ledger(store, "--store")
    found, cleaned = None, None
    files: list[Path] = []
    told: list[Path] = []
    if against:
        targets = named(against)  # a wrong name is found before anything is read
        sources = [find_source(name, wanted, bundled_data()) for name in dict.fromkeys(names)]
        if clean:
            check_folder(clean, sources)
        if lineage:
            checkpoints_to_tell(lineage)
        compared_with = find_against(targets, data, chosen, ledger)
        way = LookThrough(
            against=compared_with,
            fields=chosen,
            row_fields=row_fields,
            processes=processes,
            progress=progress,
        )
        found, files = look_through(way, sources, report, store)
        if clean:
            cleaned = write_clean(clean, sources, found)
        if lineage:
            told = add_overlap(
                lineage, [one for data in found.data_sets for one in data.overlaps()]
            )
    published = (
        beside_published(names, data, row_fields, processes, ledger) if check_published else None
    )
    show(found, cleaned, published, files, told, as_json=as_json)
    return 1 if found is not None and found.contaminated else 0


def check_arguments(
    names: Sequence[str],
    against: Sequence[str],
    folders: Mapping[str, Path | None],
    *,
    check_published: bool,
) -> None:
    """Refuse a call that says too little.

    Raises:
        UsageError: it does.
    """
    if not names and not check_published:
        raise click.UsageError("Missing argument 'DATA...'.")
    if not against and not check_published:
        raise click.UsageError("Missing option '--against': suites or tasks, such as dev,unseen.")
    if not against and (given := [option for option, folder in folders.items() if folder]):
        raise click.UsageError(f"{given[0]} needs --against, which says what is compared.")
    if against and not names:
        raise click.UsageError("Missing argument 'DATA...', which --against is about.")


def item_fields(written: str) -> tuple[Any, ...]:
    """`question,answer` as a tuple.

    Raises:
        OlmesError: another word is there, or none.
    """
    words = tuple(dict.fromkeys(word.strip() for word in written.split(",") if word.strip()))
    if not words or set(words) - {"question", "answer"}:
        raise OlmesError(f"--fields {written}: write question, answer, or question,answer.")
    return words


def named(against: Sequence[str]) -> list[Any]:
    """What `--against` names: suites with their tasks, and tasks.

    Raises:
        OlmesError: there is no suite and no task of a name.
    """
    from olmes.benchmark.naming import fitting, split
    from olmes.benchmark.registry import TASK_FILES, suite_names, task_names
    from olmes.runs.planning import tasks_of
    from olmes.tools.near_names import unknown

    words = [word for one in against for word in split(one)]
    if not words:
        raise OlmesError("--against names nothing; write suites or tasks, such as dev,unseen.")
    suites = suite_names()
    found: list[str] = []
    for word in words:
        found += [word] if word in suites or word.endswith(".toml") else fitting(word)
    known = [*suites, *task_names()]
    for name in found:
        if name not in known and not name.endswith((".toml", *TASK_FILES)):
            said = unknown("suite or task", name, known, "give the path of a file")
            raise OlmesError(f"--against: {said}")
    return [tasks_of(name) for name in dict.fromkeys(found)]


def find_against(
    targets: Sequence[Any], data: tuple[Path, ...], chosen: Any, ledger: Any
) -> Against:
    """What is compared with; the store is refused now if its ledger is broken, and not at the end."""
    from olmes.cli.run import aloud
    from olmes.decontamination.against import find_evaluations

    found = find_evaluations(targets, data, chosen, say=aloud, looks=ledger.entries())
    if any(one.held_out for one in found.evaluations):
        ledger.check()
    return found


def look_through(
    way: LookThrough, sources: Sequence[Source], report: Path | None, store: Path
) -> tuple[Findings, list[Path]]:
    """Compare, count what is held out, and write the report; the files of the report.

    Nothing of held-out tasks is in the pairs, and no count is written anywhere before the ledger.
    """
    import dataclasses

    from olmes.decontamination.look_through import count_held_out
    from olmes.reports.decontamination_page import PairsReport

    if report is None:
        found = way.findings(sources)
        count_held_out(store, found, "--store")
        return found, []
    pairs = PairsReport(report)
    with pairs.open():
        found = dataclasses.replace(way, keep=pairs.keep).findings(sources)
    count_held_out(store, found, "--store")
    return found, pairs.write(found)


def progress(source: Source) -> Any:
    """What says how far a data set is looked through: a line now and then, where somebody waits."""
    import sys
    import time

    from olmes.cli.run import aloud

    aloud(f"looking through {source.name}")
    begun = last = time.monotonic()

    def tell(rows: int) -> None:
        nonlocal last
        now = time.monotonic()
        if sys.stderr.isatty() and now - last > 5:
            last = now
            aloud(f"{source.name}: {rows:,} rows, {rows / (now - begun):,.0f} a second")

    return tell


def beside_published(
    names: Sequence[str],
    data: tuple[Path, ...],
    row_fields: Sequence[str],
    processes: int | None,
    ledger: Any,
) -> list[Beside]:
    """The published overlaps, each with ours where the training set and the evaluation are here."""
    from olmes.benchmark.registry import load_task
    from olmes.decontamination import published_overlaps as published
    from olmes.decontamination.against import Against
    from olmes.decontamination.look_through import LookThrough, count_held_out
    from olmes.rows.sources import find_source
    from olmes.trainers.data.bundled import bundled_data

    table = published.published_overlaps()
    here = {title: name for name in names if (title := published.set_of(name, table.sets))}
    for title, one in table.sets.items():
        if title not in here and (cached := published.cached_name(one)):
            here[title] = cached
    tasks = [(None, [load_task(name)]) for name in published.needed_tasks(list(here))]
    against = find_against(tasks, data, ("question",), ledger) if tasks else Against((), {})
    rows = []
    for title, one in table.sets.items():
        found, why = None, "not here"
        if title in here:
            real = [each for each in against.evaluations if each.origin != "demo"]
            parts = table.of(title, real)
            why = ""
            if parts:
                way = LookThrough(
                    against=Against(parts, {}),
                    row_fields=row_fields or one.fields,
                    processes=processes,
                    progress=progress,
                )
                try:
                    result = way.findings([find_source(here[title], one.wanted, bundled_data())])
                except OlmesError as error:
                    why = str(error)
                else:
                    count_held_out(ledger.path.parent, result, "--store")
                    found = result.data_sets[0]
        rows += published.beside(title, found, why)
    return rows


def show(
    found: Findings | None,
    cleaned: Sequence[Cleaned] | None,
    published: Sequence[Beside] | None,
    files: Sequence[Path],
    told: Sequence[Path],
    *,
    as_json: bool,
) -> None:
    """Print what was found."""
    if as_json:
        from olmes.tools import jsonl
        from olmes.tools.as_json import as_json as json_of

        printed = found.to_json() if found else {}
        if cleaned is not None:
            printed["clean"] = [one.to_json() for one in cleaned]
        if published is not None:
            printed["published"] = json_of(published)
        if told:
            printed["lineage"] = [str(path) for path in told]
        click.echo(jsonl.dumps(printed | {"files": [str(path) for path in files]}))
        return
    from olmes.cli import overlaps
    from olmes.cli.tables import console

    screen = console()
    if found is not None:
        overlaps.print_findings(found, screen)
    if cleaned is not None:
        overlaps.print_cleaned(cleaned, screen)
    if published is not None:
        overlaps.print_published(published, screen)
    for path in files:
        screen.print(f"report  {path}", soft_wrap=True)
    for path in told:
        screen.print(f"lineage {path}", soft_wrap=True)
