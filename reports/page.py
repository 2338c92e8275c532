"""One self-contained HTML file from a template: style, script and data inside, nothing fetched.

Every page goes through `render_page`, so that every page has the same content security policy: no
network, no script but the one whose hash is in the file, no HTML made from strings.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from olmes.records.shown import MARKS
from olmes.reports import numbers
from olmes.reports.charts import fits
from olmes.reports.links import samples_link
from olmes.reports.notices import notice_head
from olmes.tools.visible_text import visible

HERE = Path(__file__).parent
SIGNS = {0x2400 + code: f"\\x{code:02x}" for code in range(0x20)}
"""Signs for control characters, which few fonts of a browser have, written as `text.js` does."""


@cache
def asset(name: str) -> str:
    """The text of a file in `assets/`."""
    return (HERE / "assets" / name).read_text(encoding="utf-8")


def content_policy(style: str, scripts: Sequence[str]) -> str:
    """The content security policy of a page that holds these texts and nothing else."""
    hashes = " ".join(f"'{_source_hash(script)}'" for script in scripts)
    rules = (
        "default-src 'none'",
        f"style-src '{_source_hash(style)}'",
        f"script-src {hashes}",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    return "; ".join(rules)


def breakable(name: str) -> Markup:
    """A name that a narrow column may break after each underscore."""
    return Markup("_<wbr>").join(visible(name).split("_"))


def _shown(value: Any) -> Any:
    """What a template prints: text with what steers made visible; our own markup as it is."""
    return visible(value).translate(SIGNS) if type(value) is str else value


def _source_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return "sha256-" + base64.b64encode(digest).decode("ascii")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_shown,
    )
    environment.filters["breakable"] = breakable
    environment.filters["count"] = numbers.count
    environment.filters["seconds"] = numbers.seconds
    environment.globals["samples_link"] = samples_link
    environment.globals["MARKS"] = MARKS
    environment.globals["notice_head"] = notice_head
    environment.globals["fits"] = fits
    return environment


def render_page(
    template: str,
    context: Mapping[str, Any],
    *,
    scripts: Sequence[str] = (),
    data: Any = None,
    blobs: Sequence[str] = (),
) -> str:
    """The whole HTML text of a page.

    Args:
        template: a file in `templates/` that extends `page.html.jinja`.
        context: what the template shows.
        scripts: files in `assets/`, inlined at the end in this order.
        data: JSON for the scripts, in the element `#page-data`.
        blobs: base64 texts for the scripts, in the elements `#blob-0`, `#blob-1`, ...
    """
    style = asset("report.css")
    theme, code = asset("theme.js"), [asset(name) for name in scripts]
    text = (
        _environment()
        .get_template(template)
        .render(
            **context,
            policy=content_policy(style, [theme, *code]),
            style=Markup(style),  # noqa: S704 (our own files; a test holds them free of end tags)
            theme=Markup(theme),  # noqa: S704
            scripts=[Markup(text) for text in code],  # noqa: S704
            data=data,
            blobs=[Markup(blob) for blob in blobs],  # noqa: S704 (base64)
        )
    )
    # A lone surrogate, which JSON can hold and UTF-8 cannot, becomes a question mark here.
    return text.encode("utf-8", "replace").decode("utf-8")
