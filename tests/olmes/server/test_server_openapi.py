"""What the OpenAPI document allows, and what it does not, never ends in a fault of the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import requests
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.olmes.server.conftest import Running


@pytest.mark.slow
def test_schemathesis_finds_no_fault(server: Running, copy_run: Callable[..., Path]) -> None:
    """Every operation, with values the document allows and values it does not."""
    import schemathesis
    from schemathesis.core.result import Ok

    from olmes.client.client import Client
    from olmes.client.start_secret import HEADER, secret_of

    Client(server.url).push(copy_run("fuzzed"))
    document = requests.get(f"{server.url}/api/v1/openapi.json", timeout=30).json()
    # A stream of events never ends; it has tests of its own.
    del document["paths"]["/api/v1/events"]
    api = schemathesis.openapi.from_dict(document)
    api.config.update(base_url=server.url)
    # Of the account that runs the server: else what changes something ends at the door.
    headers = {HEADER: secret_of(server.url)}
    tried = 0
    for operation in api.get_all_operations():
        assert isinstance(operation, Ok), operation
        found = operation.ok()
        for mode in schemathesis.GenerationMode:

            @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
            @given_case(found, mode)
            def check(case: Any) -> None:
                nonlocal tried
                tried += 1
                answer = case.call(timeout=60, headers=headers)
                assert answer.status_code < 500, (case.as_curl_command(), answer.text)
                for place in made_odd(case, ODD[tried % len(ODD)]):
                    answer = case.call(timeout=60)
                    assert answer.status_code < 500, (place, case.as_curl_command(), answer.text)

            try:
                check()
            except Exception as error:
                if "Unsatisfiable" not in type(error).__name__:
                    raise
    assert tried > 500
    assert requests.get(f"{server.url}/healthz", timeout=30).ok


ODD: tuple[Any, ...] = (
    "half \ud83d", "\x00", "\udfff\ud800", 10**400, -(10**400), 2**63, -0.0, 1e308, "1e999", "nan",
    "ledger.jsonl", "CON", "..", "../..", "%00", "x" * 20_000, "\u202e", [[]], {"\ud83d": "\ud83d"},
)  # fmt: skip
"""What no generator of valid UTF-8 and of usual numbers makes."""


def made_odd(case: Any, value: Any) -> Iterator[str]:
    """Put a value into each part of a request in turn, with the others as they are; where it is."""
    if isinstance(case.body, dict):
        for key in list(case.body):
            known, case.body[key] = case.body[key], value
            yield f"body.{key}"
            case.body[key] = known
    # What is no text of UTF-8 has no form in an address.
    text = str(value).encode("utf-8", "replace").decode()
    for part in (case.query, case.path_parameters, case.headers):
        for key in list(part or {}):
            known = part[key]
            part[key] = text if part is not case.headers else quote(text)
            yield key
            part[key] = known


def given_case(operation: Any, mode: Any) -> Callable[[Callable[[Any], None]], Callable[[], None]]:
    """`hypothesis.given` over the requests of an operation."""
    from hypothesis import given

    return given(case=operation.as_strategy(generation_mode=mode))


def test_the_document_has_examples_and_says_what_can_go_wrong(server: Running) -> None:
    document = requests.get(f"{server.url}/api/v1/openapi.json", timeout=30).json()
    schemas = document["components"]["schemas"]
    for name in ("Manifest", "Progress", "Error"):
        assert schemas[name]["examples"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation.get("description"), (method, path)
            if path.startswith("/api/"):
                assert "422" in operation["responses"], (method, path)
