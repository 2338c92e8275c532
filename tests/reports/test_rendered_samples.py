"""Markdown and LaTeX of samples rendered in a real browser, of hostile ones too."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from olmes.reports.run_page import write_run_page

pytestmark = pytest.mark.browser

PROOF = r"""**Step 1.** Let \(x = 0.8\overline{4}\), which costs $5 and not $10. Then

\[
10x
= 8.\overline{4}
\]

| a | b |
|---|---|
| $\frac{1}{2}$ | `code_1` |

- one [place](https://example.org/there)
- two ![chart](https://example.org/chart.png) <b>not bold</b>

$$\begin{aligned} a &= b \\ &= \boxed{\dfrac{2}{5}} \end{aligned}$$
"""
HOSTILE = [
    "<script>window.pwned = 1</script>",
    '<img src=x onerror="window.pwned = 2"><iframe src="https://example.org"></iframe><form>',
    "[a](javascript:window.pwned=3) ![b](https://example.org/b.png) <https://example.org>",
    r"$\href{javascript:window.pwned=4}{x}$ $\url{https://example.org}$",
    r"$\includegraphics[height=1em]{https://example.org/x.png}$",
    r"$\htmlStyle{position:fixed}{x} \style{background:url(//example.org)}{x}$ $\class{a}{x}$",
    r"$\def\a{\a\a}\a$ $\newcommand{\b}{\b\b}\b$ $\let\frac\def\frac\c{\c\c}\c$",
    r"$\rule{9999em}{9999em}$ $\kern-9999em x$ $\raisebox{9999em}{x}$ \(\unknown{x}\)",
    "$" + "{" * 900 + "}" * 900 + "$",
    r"\[" + r"\frac{1}{" * 200 + "2" + "}" * 200 + r"\]",
    ">" * 10_000,
    "- " * 9_000,
    "[" * 10_000 + "](" * 4_000,
    "*a _b " * 3_000,
    "`" * 9_999 + "$" * 9_999,
    r"\[" * 9_000,
    "$x_1$ " * 3_000,
    "| a " * 4_000 + "\n" + "|---" * 1_000,
    "&#x41;&lt;script&gt;" * 500,
]


@pytest.fixture(scope="module")
def proof_page(record_builder: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = record_builder(tmp_path_factory.mktemp("proof"))
    rows = build.gsm8k(6)
    rows[0]["response"]["text"] = PROOF
    rows[0] |= {"extracted": [r"\frac{2}{5}", "0.4"], "gold": r"\frac{2}{5}", "note": "equal"}
    rows[1]["response"]["text"] = "\n\n".join(HOSTILE[:8])
    checked = build.ifeval(12)
    run = build.write(
        {
            "gsm8k": build.task("gsm8k", "GSM8K", "exact_match", rows),
            "ifeval": build.task("ifeval", "IFEval", "prompt_level_loose", checked),
        }
    )
    return write_run_page(run, run / "report.html")


def test_raw_or_rendered_at_a_switch_that_is_remembered(proof_page: Path, open_page: Any) -> None:
    page = open_page(proof_page, "#sample=gsm8k/0")
    response = page.locator(".response")
    assert response.evaluate("node => node.tagName") == "PRE"
    assert r"\overline{4}" in response.inner_text()
    # The verdict and its reason stand above the response.
    order = page.locator(".sample").inner_text()
    places = [order.index(words) for words in ("equal", "Extracted answer", "Verdict", "**Step")]
    assert places == sorted(places)
    assert "Candidate\tAnswer" in order

    page.get_by_role("checkbox", name="Markdown and LaTeX rendered").check()
    page.locator(".response.rendered").wait_for()
    assert response.locator("math").count() == 4
    assert response.locator("strong").inner_text() == "Step 1."
    words = response.inner_text()
    assert "costs $5 and not $10" in words
    assert "place (https://example.org/there)" in words
    assert "[picture: chart] (https://example.org/chart.png) <b>not bold</b>" in words
    assert response.locator("td code").inner_text() == "code_1"
    assert page.locator(".answers .math").count() == 1, "an answer may be a formula alone"
    assert page.locator(".sample a, .sample img").count() == 0

    page.reload()
    page.locator(".response.rendered").wait_for()
    page.goto(f"{proof_page.as_uri()}#sample=gsm8k/1")
    page.locator(".sample h3", has_text="gsm8k/1").wait_for()
    assert "<script>window.pwned = 1</script>" in response.inner_text()
    assert page.evaluate("window.pwned") is None

    # Every hostile text alone: nothing but text and mathematics, and in a short time.
    for text in HOSTILE:
        began = time.perf_counter()
        found = page.evaluate(
            """text => {
              const made = olmes.rendered(text) ?? document.createElement("p");
              document.querySelector(".sample").replaceChildren(made);
              const all = [...made.querySelectorAll("*")];
              return {
                tags: [...new Set(all.map((node) => node.localName))],
                names: [...new Set(all.flatMap((node) => [...node.attributes].map(({name}) => name)))],
                width: document.documentElement.scrollWidth,
              };
            }""",
            text,
        )
        assert not {"a", "img", "script", "iframe", "form", "style", "svg", "link"} & {
            *found["tags"]
        }
        assert not [name for name in found["names"] if re.match("on|href|src|id$", name)], text[:80]
        assert found["width"] <= 1280, text[:80]
        assert time.perf_counter() - began < 3, text[:80]
    assert page.evaluate("window.pwned") is None


def test_instructions_by_kind_lead_to_their_samples_and_samples_are_sorted(
    proof_page: Path, open_page: Any
) -> None:
    page = open_page(proof_page)
    lines = page.locator(".kinds tbody tr")
    assert lines.count() == 3
    shares = [float(lines.nth(at).locator("td").first.inner_text()) for at in range(3)]
    assert shares == sorted(shares)
    missed = lines.first.locator("td").nth(4)
    count = int(missed.inner_text())
    missed.locator("a").click()
    page.locator(".status", has_text=re.compile(f"^{count} samples?$")).wait_for()
    chosen = page.get_by_label("Instruction").locator("option:checked").inner_text()
    assert chosen == f"{lines.first.locator('th').inner_text()}, not followed"
    assert "Extracted answer" not in page.locator(".sample").inner_text()

    page.get_by_role("link", name="Clear all filters").click()
    page.get_by_label("Sort by").select_option("shortest")
    page.wait_for_url(re.compile("sort=shortest"))
    found = page.locator(".row-facts").all_inner_texts()
    lengths = [int(re.findall(r"([\d,]+) chars", text)[0].replace(",", "")) for text in found]
    assert len(lengths) > 10
    assert lengths == sorted(lengths)


@pytest.mark.slow
def test_ten_thousand_samples_with_mathematics(
    record_builder: Any, tmp_path: Path, open_page: Any
) -> None:
    build = record_builder(tmp_path)
    rows = build.gsm8k(10_000)
    for row in rows:
        row["response"]["text"] += PROOF
    run = build.write({"gsm8k": build.task("gsm8k", "GSM8K", "exact_match", rows)})
    page = open_page(write_run_page(run, run / "report.html"))
    page.get_by_role("checkbox", name="Markdown and LaTeX rendered").check()
    page.locator(".response math").first.wait_for()
    began = time.perf_counter()
    page.reload()
    page.locator(".response math").first.wait_for()
    opened = time.perf_counter() - began
    filtered = page.evaluate(
        """async () => {
          const flag = document.querySelector(".filters").elements.flag;
          flag.value = "truncated";
          const began = performance.now();
          flag.dispatchEvent(new Event("input", {bubbles: true}));
          const sample = document.querySelector(".sample");
          await new Promise((done) => new MutationObserver(done).observe(sample, {childList: true}));
          return performance.now() - began;
        }"""
    )
    print(f"\n10,000 samples: open {opened:.2f} s, filter {filtered:.0f} ms")
    assert (opened < 4, filtered < 300) == (True, True)
