"""axe-core finds nothing serious on any page, light or dark, wide or narrow.

It is not a dependency: `npm pack axe-core` anywhere, then OLMES_AXE=.../axe.min.js runs this.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from olmes.comparison import generalization
from olmes.comparison.compare import compare_runs
from olmes.records.record import Record
from olmes.reports.checkpoints_page import write_checkpoints_page
from olmes.reports.comparison_page import write_comparison_page
from olmes.reports.generalization_page import write_generalization_page
from olmes.reports.leaderboard_page import write_leaderboard_page
from olmes.reports.mix_page import write_mix_page
from olmes.reports.reproduction_page import write_reproduction_page
from olmes.reports.run_page import write_run_page
from olmes.reports.training_curves import StageLog
from tests.reports.test_other_pages_in_browser import mix_of
from tests.reports.test_reproduction_page import reproduced

pytestmark = pytest.mark.browser

CHECK = """axe.run(document, {resultTypes: ["violations"]}).then(({violations}) =>
  violations.filter(({impact}) => impact === "serious" || impact === "critical")
    .map(({id, nodes}) => `${id}: ${nodes[0].html}`))"""


STAGES = [
    StageLog(
        name="SFT", kind="sft",
        rows=[{"step": n, "loss": 1 / n, "eval_loss": 2 / n, "mine": n} for n in range(1, 300)],
    ),
    StageLog(
        name="RLVR", kind="rlvr", before=299, done=False,
        rows=[{"step": n, "reward": n, "verifier/a": 0, "verifier/b": 1} for n in range(1, 150)],
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def axe() -> str:
    path = os.environ.get("OLMES_AXE", "")
    if not Path(path).is_file():
        pytest.skip("needs axe-core: set OLMES_AXE to its axe.min.js")
    return Path(path).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def pages(store: Path, hostile_run: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    place = Path(shutil.copytree(store, tmp_path_factory.mktemp("axe") / "store"))
    records = [Record.load(path.parent) for path in sorted(place.glob("*/run.json"))]
    for record in records:
        write_run_page(record.folder, record.folder / "report.html")
    steps = [(float(record.folder.name.split("-")[0]), record) for record in records]
    return [
        records[0].folder / "report.html",
        records[1].folder / "report.html",
        write_run_page(hostile_run, place / "hostile.html"),
        write_leaderboard_page(records, place / "leaderboard.html"),
        write_comparison_page(compare_runs(records[0], records[2]), place / "comparison.html"),
        write_checkpoints_page(steps, place / "checkpoints.html", stages=STAGES),
        write_generalization_page(
            generalization.generalization(records), place / "generalization.html"
        ),
        write_reproduction_page(
            reproduced(records[0]), place / "reproduction.html", {records[0].id: records[0].folder}
        ),
        write_mix_page(mix_of(records[0], "a mix"), place / "mix.html"),
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_serious_violation(
    axe: str, pages: list[Path], chromium: Any, scheme: str, width: int
) -> None:
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
    )
    try:
        page = context.new_page()
        for path in pages:
            page.goto(path.as_uri())
            if page.locator(".sample").count():
                page.wait_for_selector(".sample > header, .sample > p")
            for summary in page.locator("summary:visible").all():
                summary.click()
            page.add_script_tag(content=axe)
            assert page.evaluate(CHECK) == [], path.name
            if page.locator("[name=rendered]").count():
                page.locator("[name=rendered]").set_checked(True)
                page.locator(".sample .rendered").first.wait_for()
                assert page.evaluate(CHECK) == [], f"{path.name}, rendered"
    finally:
        context.close()
