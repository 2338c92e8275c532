"""What a person sees whose request is not carried out; a program is answered in JSON."""

from __future__ import annotations

import re

from olmes.server.pages.report_pages import served
from olmes.server.pages.server_pages import own_text, unpacked
from olmes.server.refusals import RefusedError

RUN = re.compile(r"/runs/([^/]{1,200})/report\.html")
TITLES = {
    401: "This server asks who you are",
    403: "You may not see this",
    404: "There is no such page",
    405: "There is no such page",
    422: "This cannot be shown",
    429: "Too many requests",
    507: "The server's disk is full",
}
BUSY = "The server cannot answer now"
REMEDIES = {
    401: "Reload the page and sign in: any name, and your token as the password.",
    403: "Whoever runs the server gives tokens that may: olmes token create.",
    404: "The address may be mistyped or of another olmes. All pages are in the bar above.",
    422: "Choose again from the list of runs, or give the address other words.",
    429: "Wait a moment and reload.",
}
LATER = "Nothing is lost. Reload in a while; if this stays, tell whoever runs the server."
GONE = (
    "It was removed since the link to it was made, or it was never sent to this server. Whoever has "
    "its folder can bring it back: olmes push RUN."
)


def refused_page(refused: RefusedError, path: str) -> tuple[bytes, str]:
    """A refusal as a page, with what to do and the ways home, and its content security policy.

    Args:
        refused: what was refused.
        path: that was asked for, by which links are made.
    """
    status, run = refused.status, RUN.fullmatch(path)
    gone = run is not None and status == 404
    depth = max(0, path.count("/") - 1)
    message = refused.message
    if not (refused.field and message.startswith(f"{refused.field}:")):
        message = f"{message[:1].upper()}{message[1:]}"
    text = own_text(
        "refused.html.jinja",
        status=status,
        title="This run is not here" if gone else TITLES.get(status, BUSY),
        # Starlette's own words for an unknown address say no more than the title.
        message="" if message == "Not Found" else message,
        remedy=GONE if gone else REMEDIES.get(status, LATER),
        sought=run[1] if gone and run else "",
        root="../" * depth,
    )
    page = served(text, depth, "", live=False)
    return unpacked(page), page.policy
