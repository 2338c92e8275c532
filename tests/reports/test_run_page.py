"""The page of a run, as a file: what it says, what it holds, what it refuses."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.records.check import run_record
from olmes.records.record import Record
from olmes.records.schema import FLAGS, ResponseRow
from olmes.reports.notices import NoticeHead, notice_head, run_notices
from olmes.reports.page import HERE, asset
from olmes.reports.run_head import what_was_run
from olmes.reports.run_page import ISSUES, pack, write_run_page
from olmes.tools import jsonl

SCRIPTS = sorted(path.name for path in (HERE / "assets").glob("*.js"))
Change = Callable[[dict[str, Any]], None]


class PageText(HTMLParser):
    """Tags with their attributes, and the words of the page outside scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside = ""
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_data(self, data: str) -> None:
        if self.inside not in {"script", "style"}:
            self.texts.append(data)

    @property
    def words(self) -> str:
        return " ".join("".join(self.texts).split())


def render(run: Path, tmp_path: Path, change: Change | None = None) -> str:
    """The page of a copy of `run`, its run.json changed."""
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    data = json.loads((folder / "run.json").read_text())
    if change:
        change(data)
    (folder / "run.json").write_text(json.dumps(data))
    output = tmp_path / "report.html"
    assert write_run_page(folder, output) == output
    return output.read_text(encoding="utf-8")


def header(html: str) -> str:
    """What stands before the results; fails if the page has no such place."""
    before, after = html.split('<main id="main">')
    assert after
    return before


@pytest.fixture(scope="module")
def clean_page(clean_run: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return render(clean_run, tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def hostile_page(hostile_run: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return render(hostile_run, tmp_path_factory.mktemp("page"))


def test_every_metric_stands_there_with_interval_error_and_n(
    clean_run: Path, clean_page: str
) -> None:
    run = json.loads((clean_run / "run.json").read_text())
    rows = [
        " ".join(re.sub(r"<[^>]+>", " ", row.replace("<wbr>", "")).split())
        for row in re.findall(r"<tr class=.*?</tr>", clean_page, re.DOTALL)
    ]
    expected = 0
    for task in run["tasks"].values():
        groups = [task, *task["subtasks"].values()]
        for group in groups:
            for name, found in group["metrics"].items():
                low, high = 100 * found["ci_low"], 100 * found["ci_high"]
                score = f"{100 * found['value']:.1f} [{low:.1f}, {high:.1f}]"
                # n counts items, and names the parts that they have.
                items = group["n"]
                n = f"{items}" if found["n"] == items else f"{items} ({found['n']} parts)"
                numbers = f"{score} {100 * found['stderr']:.1f} {n}"
                assert any(name in row and row.endswith(numbers) for row in rows), (name, numbers)
                expected += 1
    assert len(rows) == expected


def test_the_mean_of_the_suite_is_the_headline(clean_run: Path, clean_page: str) -> None:
    suite = json.loads((clean_run / "run.json").read_text())["suite"]
    words = PageText(clean_page).words
    assert f"Mean of 3 tasks {100 * suite['value']:.1f} %" in words
    low, high, error = (100 * suite[key] for key in ("ci_low", "ci_high", "stderr"))
    assert f"95 % CI [{low:.1f}, {high:.1f}], SE {error:.1f}, n = {suite['n']}" in words
    assert "22 November 2026, 10:00 UTC" in words


def in_words(run: dict[str, Any]) -> None:
    """The metric is words, of which fewer are better; each of 12 items has 5 responses."""
    metric = {"value": 466.7, "stderr": 73.2, "ci_low": 323.2, "ci_high": 610.1, "n": 60}
    task = run["tasks"]["gsm8k"]
    task["metrics"]["exact_match"] |= {**metric, "unit": "number", "higher_is_better": False}
    task["items"] = 12
    run["suite"] |= metric | {"unit": "number"}
    run["tasks"] = {"gsm8k": task}


def test_a_number_is_written_as_it_is_with_its_signs(clean_run: Path, tmp_path: Path) -> None:
    page = render(clean_run, tmp_path, in_words)
    words = PageText(page.replace("<wbr>", "")).words
    n = "12 (60 responses)"
    assert f"exact_match ↓ # 466.7 [323.2, 610.1] 73.2 {n}" in words
    assert f"Mean of 1 task ↓ # 466.7 95 % CI [323.2, 610.1], SE 73.2, n = {n}" in words
    assert "↓ lower is better; # a number, not a percentage." in words
    assert page.count('<abbr class="sign" title="lower is better">↓</abbr>') == 2
    (row,) = re.findall(r'<tr class="primary">.*?</tr>', page, re.DOTALL)
    assert "<svg" not in row
    data = json.loads(re.findall(r'id="page-data">(.*?)</script>', page)[0])
    assert data["tasks"][0]["metrics"] == ["exact_match_numeric"], "a number is not a verdict"
    assert data["tasks"][0]["labels"] == {"exact_match": "exact_match ↓ #"}


def test_items_and_responses_are_two_numbers_where_items_repeat(
    clean_run: Path, clean_page: str, tmp_path: Path
) -> None:
    assert "12 items, 60 responses; " in PageText(render(clean_run, tmp_path, in_words)).words
    assert " items, " not in clean_page.partition("<main")[2].partition("<script")[0]


def test_no_number_without_its_hashes(clean_run: Path, clean_page: str) -> None:
    words = PageText(clean_page).words
    for task in json.loads((clean_run / "run.json").read_text())["tasks"].values():
        assert task["formulation_hash"] in words
        assert task["scorer_hash"] in words
        assert task["data"]["content_hash"] in words


def test_a_run_of_single_tasks_has_no_mean(clean_run: Path, tmp_path: Path) -> None:
    words = PageText(render(clean_run, tmp_path, lambda run: run.update(suite=None))).words
    assert "Mean of" not in words
    assert "GSM8K, BIG-Bench Hard and IFEval · smollm2" in words


def only_gsm8k(run: dict[str, Any]) -> None:
    run.update(suite=None, tasks={"gsm8k": run["tasks"]["gsm8k"]})


def test_a_run_of_one_task_opens_with_its_score(clean_run: Path, tmp_path: Path) -> None:
    html = render(clean_run, tmp_path, only_gsm8k)
    found = json.loads((clean_run / "run.json").read_text())["tasks"]["gsm8k"]["metrics"]
    value, low, high, error = (
        f"{100 * found['exact_match'][key]:.1f}" for key in ("value", "ci_low", "ci_high", "stderr")
    )
    words = PageText(header(html)).words
    score = f"GSM8K, exact_match {value} % 95 % CI [{low}, {high}], SE {error}, n = 60"
    assert "GSM8K · smollm2 · olmes" in words
    assert score in words
    assert "5f5f" not in words, "hashes stand below"
    assert "c0ffee" not in words


def test_many_tasks_are_counted_in_the_title(clean_run: Path) -> None:
    run = json.loads((clean_run / "run.json").read_text())
    tasks = run["tasks"]
    run.update(suite=None, tasks={**tasks, "more": tasks["gsm8k"] | {"title": "More"}})
    assert what_was_run(run_record(run)) == "GSM8K, BIG-Bench Hard and 2 more tasks"


def demo_data(run: dict[str, Any]) -> None:
    run["tasks"]["gsm8k"]["data"] |= {"origin": "demo", "official": False}


def other_data(run: dict[str, Any]) -> None:
    run["tasks"]["bbh"]["data"] |= {"official": False, "notes": ["2 rows differ."]}


def limited(run: dict[str, Any]) -> None:
    run["limit"] = 8
    for task in run["tasks"].values():
        task["items"] = 8


def changed_formulation(run: dict[str, Any]) -> None:
    run["tasks"]["gsm8k"] |= {"standard": False, "settings": {"shots": "2"}}


def count_of(flag: str) -> Change:
    return lambda run: run["tasks"]["gsm8k"]["counts"].update({flag: 3})


def judged(run: dict[str, Any]) -> None:
    tokens = {"prompt": 1200, "completion": 34}
    model = {"name": "gpt-4o", "fingerprint": "ab" * 32, "engine": {"backend": "openai"}}
    entry = {"model": model, "budget": 9000, "judgements": 20, "tokens": tokens}
    run["tasks"]["gsm8k"]["judge"] = entry
    run["tasks"]["gsm8k"]["counts"]["unparsed"] = 5
    run["tasks"]["gsm8k"]["metrics"]["exact_match"]["n"] -= 5


def judged_with_values(run: dict[str, Any]) -> None:
    judged(run)
    run["tasks"]["gsm8k"]["metrics"]["exact_match"]["n"] += 3


NOTICES: list[tuple[Change, str, str]] = [
    (demo_data, "stop", "Demo data: not comparable GSM8K: scored on the built-in demo data"),
    (lambda run: run.update(complete=False), "stop", "Incomplete run"),
    (lambda run: run["suite"].update(complete=False), "stop", "Incomplete run"),
    (count_of("failed"), "stop", "Failed requests GSM8K: 3 requests got no response"),
    (other_data, "caution", "Data differs from the official set BIG-Bench Hard: the items are not"),
    (other_data, "caution", "2 rows differ."),
    (changed_formulation, "caution", "Formulation not standard GSM8K: settings differ"),
    (changed_formulation, "caution", "gsm8k.shots=2"),
    (limited, "caution", "Limited run 8 items a task, not the whole benchmark."),
    (count_of("timeout"), "caution", "Scorer stopped 3 responses"),
    (count_of("crashed"), "caution", "Scorer stopped 3 responses"),
    (count_of("prompt_truncated"), "caution", "Prompts cut 3 prompts"),
    (count_of("unjudged"), "stop", "Not judged 3 responses got no judgement"),
    (
        lambda run: run.update(not_run={"href": "it needs a judge; add --judge MODEL."}),
        "stop",
        "Not run href: it needs a judge; add --judge MODEL.",
    ),
    (
        lambda run: run["suite"].update(complete=False, missing=["href"]),
        "stop",
        "Suite incomplete The mean is that of the other tasks, without href.",
    ),
    (judged, "caution", "Judgements unread 5 judgements could not be read and are in no score."),
    (judged_with_values, "caution", "5 judgements could not be read, of which 2 are in no score."),
    (lambda run: run.update(warnings=["Mind the gap."]), "caution", "1 warning of the run Mind"),
]


@pytest.mark.parametrize(("change", "level", "text"), NOTICES)
def test_what_speaks_against_the_numbers_is_said_first(
    clean_run: Path, tmp_path: Path, change: Change, level: str, text: str
) -> None:
    html = render(clean_run, tmp_path, change)
    words = PageText(html).words
    assert text in words
    assert words.index(text) < words.index("Mean of 3 tasks")
    assert f'class="notice {level}"' in header(html)
    assert "Comparable" not in words


def test_the_gravest_notice_stands_first(clean_run: Path) -> None:
    run = json.loads((clean_run / "run.json").read_text())
    limited(run)
    count_of("unjudged")(run)
    assert [notice.level for notice in run_notices(run_record(run))] == ["stop", "caution"]
    count_of("timeout")(run)
    changed_formulation(run)
    levels = [notice.level for notice in run_notices(run_record(run))]
    assert levels == ["stop", "caution", "caution", "caution"]


def test_one_line_says_what_numbers_can_be_compared_with(clean_run: Path) -> None:
    run = json.loads((clean_run / "run.json").read_text())
    assert notice_head(run_notices(run_record(run))) is None
    limited(run)
    head = notice_head(run_notices(run_record(run)))
    assert head == NoticeHead(
        "caution", "Limited to 8 items a task", "comparable with runs of the same items only"
    )
    changed_formulation(run)
    head = notice_head(run_notices(run_record(run)), ["Mind the gap."])
    assert head == NoticeHead(
        "caution",
        "Formulation not standard, limited to 8 items a task, 1 warning of the run",
        "comparable with runs of the same items and settings only",
    )
    count_of("failed")(run)
    head = notice_head(run_notices(run_record(run)))
    assert head is not None
    assert (head.level, head.comparable) == ("stop", "comparable with no other run")
    assert head.what.startswith("Failed requests, ")


def test_what_is_not_said_in_the_line_unfolds_and_is_on_paper(
    clean_run: Path, tmp_path: Path, open_page: Callable[..., Any]
) -> None:
    def much(run: dict[str, Any]) -> None:
        limited(run)
        changed_formulation(run)
        count_of("timeout")(run)

    (tmp_path / "page.html").write_text(render(clean_run, tmp_path, much), "utf-8")
    page = open_page(tmp_path / "page.html")
    notices = page.locator("details.notice")
    assert notices.count() == 1
    assert notices.bounding_box()["height"] < 45
    assert not notices.locator("li").first.is_visible()
    page.emulate_media(media="print")
    assert notices.locator("li").count() == 3
    assert notices.bounding_box()["height"] > 80
    page.emulate_media(media="screen")
    notices.locator("summary").click()
    assert notices.get_by_text(
        "so these numbers cannot be compared with published ones"
    ).is_visible()


def test_a_suite_that_lacks_whole_tasks_alone_is_not_told_to_run_again(
    clean_run: Path, tmp_path: Path
) -> None:
    words = PageText(
        render(
            clean_run, tmp_path, lambda run: run["suite"].update(complete=False, missing=["href"])
        )
    ).words
    assert "Incomplete run" not in words
    assert "Mean of 3 tasks, without href" in words


def test_an_encoder_that_judged_is_named(clean_run: Path, tmp_path: Path) -> None:
    def weighed(run: dict[str, Any]) -> None:
        judged(run)
        encoders = {"roberta-large": {"fingerprint": "cd" * 32, "engine": {"layer": 17}}}
        run["tasks"]["gsm8k"]["judge"] |= {"model": None, "encoders": encoders}

    words = PageText(render(clean_run, tmp_path, weighed)).words
    assert 'roberta-large, {"fingerprint"' in words
    assert "none was named" not in words


def test_a_checkpoint_says_its_training_and_step(clean_run: Path, tmp_path: Path) -> None:
    def trained(run: dict[str, Any]) -> None:
        run["model"] |= {"family": "tulu-8b", "step": 1400, "lineage": []}

    html = render(clean_run, tmp_path, trained)
    assert "<dt>checkpoint</dt><dd>tulu-8b, step 1,400</dd>" in html


def test_a_judged_task_names_its_judge_and_the_price(clean_run: Path, tmp_path: Path) -> None:
    html = render(clean_run, tmp_path, judged)
    facts = re.findall(r"<dt>([^<]*)</dt><dd>([^<]*)</dd>", html)
    assert {
        ("judge", "gpt-4o"),
        ("judgements", "20"),
        ("judge&#39;s tokens", "1,200 read, 34 written"),
        ("budget", "9,000 tokens"),
        ("could not be read", "5"),
        ("not judged", "0"),
    } < set(facts)


def test_every_flag_of_a_run_has_its_word() -> None:
    assert set(FLAGS) < set(ISSUES)


def test_a_clean_run_is_called_comparable(clean_page: str) -> None:
    words = PageText(clean_page).words
    assert "Comparable Official data, standard formulation, all items, every request" in words
    assert 'class="notice stop"' not in clean_page


def test_a_metric_without_a_number_is_a_dash(clean_run: Path, tmp_path: Path) -> None:
    def empty(run: dict[str, Any]) -> None:
        nothing = dict.fromkeys(("value", "stderr", "ci_low", "ci_high")) | {"n": 0}
        run["tasks"]["gsm8k"]["metrics"]["exact_match"] |= nothing
        run["suite"] |= nothing

    html = render(clean_run, tmp_path, empty)
    assert "95 % CI –, SE –, n = 0" in PageText(html).words


def test_nothing_comes_from_outside_the_file(hostile_page: str) -> None:
    allowed = re.compile(r"#|data:,$")
    for tag, attributes in PageText(hostile_page).tags:
        assert tag not in {"img", "iframe", "object", "embed", "base", "video", "audio"}
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("src", "href", "action", "srcset", "data"):
            assert allowed.match(attributes.get(name) or "#"), attributes


def test_the_policy_allows_this_style_and_this_script_alone(clean_page: str) -> None:
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', clean_page)
    rules = dict(rule.split(" ", 1) for rule in policy.replace("&#39;", "'").split("; "))
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        texts = re.findall(rf"<{tag}>(.*?)</{tag}>", clean_page, re.DOTALL)
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()) for text in texts]
        assert rules[rule] == " ".join(f"'sha256-{digest.decode()}'" for digest in digests)
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_makes_html_from_text_or_reaches_out(name: str) -> None:
    script = asset(name)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)
    assert not re.search(r"\bfetch\(|XMLHttpRequest|import\(|WebSocket", script)
    assert len(script.splitlines()) < 400
    assert not re.search(r"</|<!--|\r", script)


def test_the_style_reaches_nothing_outside() -> None:
    assert not re.search(r"@import|url\(|@font-face|</|<!--|\r", asset("report.css"))


def test_hostile_texts_are_escaped(hostile_page: str) -> None:
    assert "window.pwned" in hostile_page  # names and titles show it
    for _, attributes in PageText(hostile_page).tags:
        assert "onerror" not in attributes
    scripts = re.findall(r"<script(.*?)>", hostile_page)
    assert scripts.count("") == 7  # every other one is data
    assert all(not found or "type=" in found for found in scripts)


def test_a_collector_sees_every_row_of_what_is_not_sealed(sealed_run: Path) -> None:
    class Ids:
        def __init__(self) -> None:
            self.seen: list[tuple[str, int]] = []

        def see(self, task: str, row: ResponseRow) -> None:
            self.seen.append((task, row["doc_id"]))

    record, ids = Record.load(sealed_run), Ids()
    for name in record.tasks:
        pack(record, name, [ids])
    assert ids.seen == [("gsm8k", row["doc_id"]) for row in record.samples("gsm8k")]


def test_the_page_is_the_same_every_time(clean_run: Path, clean_page: str, tmp_path: Path) -> None:
    assert render(clean_run, tmp_path) == clean_page


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OlmesError, match="no record"):
        write_run_page(tmp_path, tmp_path / "report.html")


def test_a_later_schema_is_refused(clean_run: Path, tmp_path: Path) -> None:
    with pytest.raises(OlmesError, match="newer than this olmes reads"):
        render(clean_run, tmp_path, lambda run: run.update(schema=3))


def test_damaged_samples_are_refused_by_file_and_line(clean_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(clean_run, folder)
    samples = folder / "samples" / "bbh.jsonl"
    samples.write_text(samples.read_text().replace("\n", "\n{", 1))
    with pytest.raises(OlmesError, match=r"bbh\.jsonl, line 2"):
        write_run_page(folder, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_page_over_an_old_one_replaces_it(clean_run: Path, tmp_path: Path) -> None:
    jsonl.write_atomically(tmp_path / "report.html", "old")
    assert "<h1>Development suite" in render(clean_run, tmp_path)
