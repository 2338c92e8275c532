"""The whole way in a real Chromium: watch a run arrive, open a sample, compare, meet the seal."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from olmes import evaluate
from olmes.client.client import Client
from olmes.client.live import LiveProgress, push_record
from olmes.requests.callbacks import CallbackList, RunCallback

if TYPE_CHECKING:
    from olmes.requests.dispatch import Origin
    from olmes.types import Response
    from tests.olmes.server.conftest import Running

ECHO = Path(__file__).parents[1] / "files/echo_task.py"
pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """A page of a browser that notes what is refused and what fails."""
    page = chromium.new_page()
    page.set_default_timeout(60_000)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on(
        "console",
        lambda line: page.problems.append(line.text) if line.type == "error" else None,
    )
    yield page
    page.close()


def test_from_the_first_run_to_the_seal(
    launch: Callable[..., Running], copy_run: Callable[..., Path], sealed_run: Path, page: Any
) -> None:
    running = launch()
    client = Client(running.url)
    client.push(copy_run("first", rows=40, right=20))

    page.goto(f"{running.url}/runs.html")
    page.locator("#live", has_text="live").wait_for()
    assert page.locator("#runs tr").count() == 1
    page.evaluate("window.stayed = true")

    client.progress("second", 3, 40, task="echo")
    page.locator("#running li", has_text="second: 3 of 40 (echo)").wait_for()
    client.push(copy_run("second", rows=40, right=32))
    page.locator("#runs tr[data-run=second]").wait_for()
    assert page.locator("#runs tr").first.get_attribute("data-run") == "second"
    assert page.locator("#running li").count() == 0
    assert page.locator("#count").text_content() == "2"
    assert page.evaluate("window.stayed") is True  # nothing was loaded anew

    page.get_by_role("link", name="second", exact=True).last.click()
    page.locator(".sample h3").wait_for()
    page.goto(f"{running.url}/runs/second/report.html#task=echo&sample=echo/37")
    page.locator(".sample h3", has_text=re.compile(r"^echo/37$")).wait_for()
    page.get_by_role("link", name="Runs", exact=True).click()

    page.get_by_label("A: first").check()
    page.get_by_label("B: second").check()
    page.get_by_role("button", name="Compare A with B").click()
    page.wait_for_url("**/compare.html?*")
    page.locator("h1").wait_for()
    assert "second" in page.locator("main").inner_text()

    page.goto(f"{running.url}/runs.html")
    page.locator("#live", has_text="live").wait_for()
    name = client.push(sealed_run).id
    row = page.locator(f"#runs tr[data-run='{name}']")
    look = "Look 1 of the family"
    row.locator(".note", has_text=look).wait_for()  # as it arrives, and as the page is made
    page.reload()
    assert look in row.inner_text()
    assert "no dev score of these weights was known then" in row.inner_text()
    page.goto(f"{running.url}/runs/{name}/report.html")
    page.locator("#held-out").wait_for()
    assert page.locator(".sample").count() == 0
    assert "word3" not in page.content()
    assert page.problems == []
    answer = page.goto(f"{running.url}/api/v1/runs/{name}/tasks/echo/samples")
    assert answer.status == 403
    assert "under seal" in page.content()
    page.problems.clear()  # the browser notes the 403

    for place in ("leaderboard.html", "ledger.html", "checkpoints.html"):
        page.goto(f"{running.url}/{place}")
        page.locator("#live", has_text=re.compile("live")).wait_for()
    assert page.problems == []


UNDER_WAY = re.compile(r": [1-9]\d* of 12 \(echo\), [\d.]+ so far \(n = \d+\), \d+ s left")


def test_a_run_under_way_is_watched_until_its_row_stands_there(
    launch: Callable[..., Running],
    bench: Path,
    tmp_path: Path,
    page: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A real run tells how far it is; the row it leaves is the one that the server would write."""
    monkeypatch.setattr("olmes.client.live.INTERVAL", 0.2)
    running = launch()
    page.goto(f"{running.url}/runs.html")
    page.locator("#no-runs", has_text=f"olmes push RUN --to {running.url}").wait_for()
    page.locator("#live", has_text="live").wait_for()
    page.evaluate("window.stayed = true")

    class Slow(RunCallback):
        def answered(self, task: str, response: Response, origin: Origin) -> None:
            time.sleep(0.5)

    def evaluate_and_push() -> None:
        record = evaluate(
            str(ECHO), model=f"replay:{bench / 'recording.jsonl'}", data=bench, scoring_processes=1,
            out=tmp_path / "runs", use_cache=False,
            callback=CallbackList(LiveProgress(running.url, say=pytest.fail), Slow()),
        )  # fmt: skip
        push_record(record.folder, running.url, say=pytest.fail)

    thread = threading.Thread(target=evaluate_and_push)
    thread.start()
    line = page.locator("#running li", has_text=UNDER_WAY)
    line.wait_for()
    assert 0 < float(line.locator("progress").get_attribute("value")) < 12
    row = page.locator("#runs tr")
    row.wait_for()
    thread.join(60)
    assert page.locator("#under-way").is_hidden()
    assert page.locator("#no-runs").is_hidden()
    assert (page.locator("#count").text_content(), page.locator("#samples").text_content()) == (
        "1",
        "12",
    )
    assert page.evaluate("window.stayed") is True
    live = " ".join(row.inner_text().split())
    assert "83.3 [55.2, 95.3] echo" in live
    page.reload()
    assert " ".join(row.inner_text().split()) == live
    page.goto(f"{running.url}/leaderboard.html")
    page.locator("#live", has_text="live").wait_for()
    Client(running.url).push(copied(tmp_path / "runs"))
    page.get_by_role("link", name="show here").wait_for()
    assert page.problems == []


def copied(runs: Path) -> Path:
    """The run there under another name."""
    [first] = [path.parent for path in runs.glob("*/run.json")]
    other = runs / "other"
    shutil.copytree(first, other)
    data = (other / "run.json").read_text()
    (other / "run.json").write_text(data.replace(f'"id": "{first.name}"', '"id": "other"'))
    return other


def test_a_hostile_name_of_a_model_stays_text_when_it_arrives(
    launch: Callable[..., Running], copy_run: Callable[..., Path], page: Any
) -> None:
    running = launch()
    page.goto(f"{running.url}/runs.html")
    page.locator("#live", has_text="live").wait_for()
    folder = copy_run("hostile", family="<img src=x onerror='window.pwned=1'>")
    data = (folder / "run.json").read_text()
    evil = "<img src=x onerror=window.pwned=1>"
    (folder / "run.json").write_text(data.replace('"name": "hostile"', f'"name": "{evil}"'))
    Client(running.url).push(folder)
    page.locator("#runs tr[data-run=hostile]").wait_for()
    assert evil in page.locator("#runs tr[data-run=hostile]").inner_text()
    page.reload()
    assert evil in page.locator("#runs tr[data-run=hostile]").inner_text()
    assert page.evaluate("window.pwned") is None
    assert page.problems == []


def test_the_other_store_is_told_apart_by_its_token(
    launch: Callable[..., Running], tmp_path: Path, page: Any
) -> None:
    from olmes.server.access.tokens import create_token
    from olmes.server.store.database import Database

    database = Database(str(tmp_path / "closed"))
    database.migrate()
    token = create_token(database, "reader", "read")
    database.close()
    running = launch(str(tmp_path / "closed"))
    assert requests.get(f"{running.url}/runs.html", timeout=30).status_code == 401
    context = page.context.browser.new_context(
        http_credentials={"username": "me", "password": token}
    )
    inside = context.new_page()
    assert inside.goto(f"{running.url}/runs.html").status == 200
    inside.locator("#live", has_text="live").wait_for()
