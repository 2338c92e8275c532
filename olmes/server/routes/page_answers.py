"""Made pages, and what the API gives in the same way, as answers."""

from __future__ import annotations

from fastapi import Request, Response

from olmes.server.pages import server_pages
from olmes.server.pages.page_cache import PageCache
from olmes.server.pages.report_pages import Page
from olmes.server.pages.stale import say_so
from olmes.server.service import service_of

HTML = "text/html; charset=utf-8"


def pages_of(request: Request) -> PageCache:
    """The pages of the server that is asked. Who reads them may ask for samples next."""
    service_of(request).reading.warm()
    pages: PageCache = request.app.state.pages
    return pages


def page_answer(
    request: Request, page: Page, media_type: str = HTML, *, behind: str = ""
) -> Response:
    """A page as an answer: unpacked for the rare client that cannot read gzip.

    Args:
        request: who asks for it.
        page: the page, or what the API gives.
        media_type: of its body.
        behind: the board's name, by which it is known whether the store has changed since.
    """
    headers = {"cache-control": "no-cache", "etag": page.tag, "vary": "accept-encoding"}
    if page.policy:
        headers["content-security-policy"] = page.policy
    if page.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    body = page.body
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
    else:
        body = server_pages.unpacked(page)
    response = Response(body, headers=headers, media_type=media_type)
    say_so(response, pages_of(request).behind(behind))
    return response
