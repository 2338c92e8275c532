"""Keys, proxies, certificates, Azure, and errors that come inside an answer."""

from __future__ import annotations

import json
import runpy
import socket
import ssl
import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.models.http.certificates import certificates
from olmes.models.http.endpoint import parse_endpoint
from olmes.models.http.keys import find_key
from olmes.models.http.openai import OpenAIModel
from olmes.models.http.pace import Patience
from olmes.models.spec import load_model
from olmes.runs.score_sheet import flags_of
from olmes.types import Generation, Request, Response

SERVER = Path(__file__).parent / "files/faulty_server.py"
FaultyServer = runpy.run_path(str(SERVER))["FaultyServer"]
PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
QUICK = Patience(first_wait=0.002, longest_wait=0.02, silence=0.1, connect=5.0)


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No keys, proxies or certificates from outside."""
    for name in (*PROXIES, "no_proxy", "NO_PROXY", "OLMES_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    certificates.cache_clear()


@pytest.fixture
def server() -> Iterator[Any]:
    server = FaultyServer()
    yield server
    server.close()


def model_at(url: str, name: str = "m") -> OpenAIModel:
    endpoint = parse_endpoint(f"{name}@{url}")
    return OpenAIModel(f"openai:{endpoint}", endpoint, patience=QUICK)


def ask(model: OpenAIModel, count: int = 1) -> list[Response]:
    requests = [
        Request(
            generation=Generation(max_tokens=4),
            messages=({"role": "user", "content": f"Say w{at}."},),
        )
        for at in range(count)
    ]
    found: dict[int, Response] = {}
    model.generate(requests, found.__setitem__)
    return [found[at] for at in range(count)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# Keys.


@pytest.mark.parametrize(
    ("target", "environment", "found"),
    [
        ("m@https://a.example/v1", {"OLMES_KEY_A_EXAMPLE": "a", "OLMES_API_KEY": "x"}, "a"),
        ("m@https://b.example/v1", {"OLMES_KEY_A_EXAMPLE": "a", "OLMES_API_KEY": "x"}, "x"),
        ("m@https://a.example:8443", {"OLMES_KEY_A_EXAMPLE": "a"}, "a"),
        (
            "m@https://a.example:8443",
            {"OLMES_KEY_A_EXAMPLE": "a", "OLMES_KEY_A_EXAMPLE_8443": "p"},
            "p",
        ),
        ("m@http://[::1]:80", {"OLMES_KEY_1": "six"}, "six"),
        ("m@http://node-17:8000", {"OLMES_KEY_NODE_17": "n"}, "n"),
        ("m@https://openrouter.ai/api/v1", {"OPENROUTER_API_KEY": "r", "OLMES_API_KEY": "x"}, "r"),
        ("m@https://a.example/v1", {"OPENROUTER_API_KEY": "r"}, ""),
        ("m@https://notopenrouter.ai/v1", {"OPENROUTER_API_KEY": "r"}, ""),
        ("m@https://a.example/v1", {"OPENAI_API_KEY": "o"}, "o"),
        ("m@http://127.0.0.1:8000", {"OPENAI_API_KEY": "o"}, "o"),
        ("m@http://localhost:8000", {"OPENAI_API_KEY": "o"}, "o"),
        # A vendor's key is not sent where anyone on the way can read it.
        ("m@http://a.example:8000", {"OPENAI_API_KEY": "o"}, ""),
        ("m@http://openrouter.ai/v1", {"OPENROUTER_API_KEY": "r"}, ""),
        ("m@http://a.example:8000", {"OLMES_API_KEY": "x"}, "x"),
        ("gpt-x", {"OLMES_API_KEY": "x", "OPENAI_API_KEY": "o"}, "x"),
        ("gpt-x", {"OLMES_KEY_API_OPENAI_COM": "k", "OPENAI_API_KEY": "o"}, "k"),
    ],
)
def test_each_server_gets_its_own_key(
    target: str, environment: dict[str, str], found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert find_key(parse_endpoint(target)).secret == found


def test_two_servers_of_one_run_get_two_keys(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = FaultyServer()
    monkeypatch.setenv(f"OLMES_KEY_127_0_0_1_{server.port}", "for-the-model")
    monkeypatch.setenv(f"OLMES_KEY_127_0_0_1_{judge.port}", "for-the-judge")
    for one in (server, judge):
        ask(model_at(one.url))
    judge.close()
    sent = [{headers.get("authorization") for headers in one.headers} for one in (server, judge)]
    assert sent == [{"Bearer for-the-model"}, {"Bearer for-the-judge"}]


def test_a_key_in_the_open_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLMES_API_KEY", "sk-very-secret")
    said = model_at("http://a.example:8000").notes
    assert said == [
        "the key of $OLMES_API_KEY went to a.example:8000 over plain http, where anyone on the way can "
        "read it."
    ]
    assert not model_at("https://a.example").notes
    assert not model_at("http://127.0.0.1:8000").notes


def test_a_refused_key_names_the_servers_own_variable(server: Any) -> None:
    server.faults = lambda number, body: "status 401"
    with pytest.raises(OlmesError, match=r"set \$OLMES_API_KEY or \$OLMES_KEY_127_0_0_1 to one"):
        ask(model_at(server.url))


# Azure.


def test_azure_is_asked_in_its_own_way(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLMES_API_KEY", "sk-very-secret")
    paths: list[str] = []
    reply = server.reply

    def noted(path: str, body: dict[str, Any]) -> Any:
        paths.append(path)
        return reply(path, body)

    server.reply = noted
    root = server.url.removesuffix("/v1")
    model = model_at(f"{root}/openai/deployments/dep?api-version=2024-10-21", "dep")
    assert ask(model)[0].text == "w0"
    assert paths == ["/openai/deployments/dep/chat/completions?api-version=2024-10-21"]
    assert server.headers[-1]["api-key"] == "sk-very-secret"
    assert "authorization" not in server.headers[-1]
    other = model_at(f"{root}/openai/deployments/dep?api-version=2025-01-01", "dep")
    assert other.fingerprint != model.fingerprint


@pytest.mark.parametrize(
    ("target", "address"),
    [
        (
            "dep@https://x.openai.azure.com?api-version=1",
            "https://x.openai.azure.com/openai/deployments/dep?api-version=1",
        ),
        (
            "dep@https://x.openai.azure.com/?api-version=1/",
            "https://x.openai.azure.com/openai/deployments/dep?api-version=1",
        ),
        (
            "dep@https://h/openai/deployments/dep/chat/completions?api-version=1",
            "https://h/openai/deployments/dep?api-version=1",
        ),
        ("dep@https://x.openai.azure.com/openai/v1/", "https://x.openai.azure.com/openai/v1"),
    ],
)
def test_azures_addresses_are_read(target: str, address: str) -> None:
    assert load_model(f"openai:{target}").name == f"openai:dep@{address}"
    assert parse_endpoint(target).azure


@pytest.mark.parametrize("query", ["key=hunter2", "api-version=1&key=hunter2", "api-version="])
def test_any_other_query_is_refused(query: str) -> None:
    with pytest.raises(OlmesError, match="contains a password, a query or a fragment") as caught:
        parse_endpoint(f"m@https://h/v1?{query}")
    assert "hunter2" not in str(caught.value)


# Proxies.


def test_a_proxy_that_is_down_is_named(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("http_proxy", f"http://user:hunter2@127.0.0.1:{port}")
    url = server.url.replace("127.0.0.1", "server.example")
    with pytest.raises(OlmesError) as caught:
        ask(model_at(url))
    said = str(caught.value)
    assert f"the proxy 127.0.0.1:{port} of $http_proxy does not answer: Connection refused" in said
    assert "add server.example to $no_proxy" in said
    assert "hunter2" not in said
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert ask(model_at(server.url))[0].text == "w0"


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_requests_go_through_a_proxy_with_its_password_and_no_other(
    server: Any, scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The server stands in for a proxy here: it gets every request, whatever its address.
    monkeypatch.setenv("HTTP_PROXY", f"{scheme}me:p%40ss@127.0.0.1:{server.port}")
    monkeypatch.setenv("OLMES_API_KEY", "sk-very-secret")
    (tmp_path / "netrc").write_text("default login you password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert ask(model_at("http://server.example/v1"))[0].text == "w0"
    assert server.headers[-1]["proxy-authorization"] == "Basic " + b64encode(b"me:p@ss").decode()
    assert server.headers[-1]["authorization"] == "Bearer sk-very-secret"
    assert server.headers[-1]["host"] == "server.example"


def test_a_proxy_that_cannot_be_gone_through_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1080")
    with pytest.raises(OlmesError, match=r"\$https_proxy names a socks5 proxy.* \$no_proxy"):
        ask(model_at("https://server.example/v1"))


def test_a_proxy_that_has_no_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://no-such-host.invalid:3128")
    with pytest.raises(OlmesError, match="through the proxy no-such-host.invalid:3128 of"):
        ask(model_at("http://server.example/v1"))


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, r"refuses the key \(403: .* through the proxy 127\.0\.0\.1:\d+ of \$http_proxy\)"),
        (407, r"are not let through the proxy 127\.0\.0\.1:\d+ of \$http_proxy \(407"),
    ],
)
def test_what_a_proxy_says_names_the_proxy(
    server: Any, monkeypatch: pytest.MonkeyPatch, status: int, message: str
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.port}")
    server.faults = lambda number, body: f"status {status}"
    with pytest.raises(OlmesError, match=message):
        ask(model_at("http://server.example/v1"))


def test_the_key_does_not_go_to_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLMES_API_KEY", "sk-very-secret")
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("https_proxy", f"http://me:pw@127.0.0.1:{proxy.getsockname()[1]}")
        heard: list[bytes] = []

        def listen() -> None:
            connection, _ = proxy.accept()
            heard.append(connection.recv(65536))
            connection.sendall(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
            connection.close()

        listening = threading.Thread(target=listen)
        listening.start()
        with pytest.raises(OlmesError, match="wants a user name and a password"):
            ask(model_at("https://server.example/v1"))
        listening.join()
    assert heard[0].startswith(b"CONNECT server.example:443")
    assert b"Basic " + b64encode(b"me:pw") in heard[0]
    assert b"sk-very-secret" not in heard[0]


def test_a_proxy_that_opens_no_way_is_named(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # No CONNECT is known there: http.server answers 501.
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server.port}")
    [response] = ask(model_at("https://server.example/v1"))
    assert f"the proxy 127.0.0.1:{server.port} of $https_proxy finds no way" in response.error


# Certificates.


def test_https_to_a_plain_port_says_so(server: Any) -> None:
    with pytest.raises(OlmesError, match="does not speak TLS; write http://"):
        ask(model_at(server.url.replace("http:", "https:")))


def test_http_to_a_port_that_speaks_tls_says_so(server: Any) -> None:
    page = b"<html><center>The plain HTTP request was sent to HTTPS port</center></html>"
    server.faults = lambda number, body: f"status 400 {page.decode()}"
    with pytest.raises(OlmesError, match="speaks TLS alone; write https://"):
        ask(model_at(server.url))


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_bundle_that_is_none_is_named(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "gone.pem"))
    with pytest.raises(OlmesError, match=rf"\${variable} names .*gone.pem, and there is no such"):
        ask(model_at("https://127.0.0.1:9"))
    (tmp_path / "gone.pem").write_text("no certificate")
    with pytest.raises(OlmesError, match=rf"\${variable} names .*gone.pem, which is no CA bundle"):
        ask(model_at("https://127.0.0.1:9"))


def test_a_bundle_does_not_matter_to_plain_http(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/at/all.pem")
    assert ask(model_at(server.url))[0].text == "w0"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of its own authority for the loopback, with its key."""
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject,
         "-keyout", "-", "-out", "-"],
        capture_output=True,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("needs openssl to make a certificate")
    file.write_bytes(made.stdout)
    return file


def test_an_authority_of_the_users_is_trusted_by_a_bundle_or_a_folder(
    server: Any, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.server.socket = context.wrap_socket(server.server.socket, server_side=True)
    url = server.url.replace("http:", "https:")
    with pytest.raises(OlmesError, match="certificate of 127.0.0.1 cannot be verified"):
        ask(model_at(url))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    certificates.cache_clear()
    assert ask(model_at(url))[0].text == "w0"


# Errors inside an answer.


def inside(error: Any, **more: Any) -> str:
    return "body " + json.dumps({"error": error, **more})


@pytest.mark.parametrize(
    "fault",
    [
        inside({"code": 429, "message": "slow down"}),
        inside({"code": "429", "message": "slow down"}),
        inside({"code": "rate_limit_exceeded", "message": "slow down"}),
        inside({"message": "slow down", "type": "rate_limit_error"}),
        inside("slow down", code=429),
        "body " + json.dumps({"choices": [{"error": {"code": 429, "message": "slow down"}}]}),
        "body " + json.dumps({"object": "error", "code": 429, "message": "slow down"}),
    ],
)
def test_a_rate_limit_inside_an_answer_slows_the_pace_and_is_no_try(
    server: Any, fault: str
) -> None:
    server.faults = lambda number, body: fault if number < 20 else ""
    endpoint = parse_endpoint(f"m@{server.url}")
    model = OpenAIModel("m", endpoint, patience=QUICK, batch_size=1)
    [response] = ask(model)
    assert (response.text, response.error) == ("w0", "")
    assert len(server.asked) == 21


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (inside({"code": 502, "message": "the provider is gone"}), "502: the provider is gone"),
        (
            inside({"code": 502, "message": "Provider error", "metadata": {"raw": "no GPU"}}),
            "502: Provider error: no GPU",
        ),
        (inside({"code": 1214, "message": "odd"}), "status 500: odd"),
        (inside("odd"), "status 500: odd"),
        (
            'body {"choices": null, "base_resp": {"status_code": 1, "status_msg": "odd"}}',
            "status 500: odd",
        ),
        (
            "body "
            + json.dumps(
                {
                    "choices": [
                        {"message": {"content": "x"}, "error": {"code": 503, "message": "odd"}}
                    ]
                }
            ),
            "503: odd",
        ),
    ],
)
def test_the_words_of_an_error_inside_an_answer_are_kept(
    server: Any, fault: str, reason: str
) -> None:
    server.faults = lambda number, body: fault
    [response] = ask(model_at(server.url))
    assert response.error.startswith("the request failed 6 times; the last time: status ")
    assert response.error.endswith(reason)


@pytest.mark.parametrize("code", [400, "context_length_exceeded", "invalid_request_error"])
def test_a_refusal_inside_an_answer_is_not_sent_again(server: Any, code: Any) -> None:
    server.faults = lambda number, body: inside({"code": code, "message": "too long"})
    [response] = ask(model_at(server.url))
    assert response.error == "the server refused the request (400: too long)"
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ({"code": 401, "message": "no"}, "refuses the key"),
        ({"code": "invalid_api_key", "message": "no"}, "refuses the key"),
        ({"code": 402, "message": "no"}, "no credit left"),
        ({"code": "insufficient_quota", "message": "no"}, "no credit left"),
        ({"code": "model_not_found", "message": "no"}, "has no model 'm'"),
    ],
)
def test_what_ends_a_run_ends_it_inside_an_answer_too(
    server: Any, error: Any, message: str
) -> None:
    server.faults = lambda number, body: inside(error)
    with pytest.raises(OlmesError, match=message):
        ask(model_at(server.url))


def test_an_answer_that_speaks_of_errors_is_an_answer(server: Any) -> None:
    text = '{"error": {"code": 429}}'
    choice = {"message": {"content": text}, "finish_reason": "stop", "error": None}
    model = model_at(server.url)
    others: list[dict[str, Any]] = [{}, {"error": None}, {"error": {}}]
    for more in others:
        server.reply = lambda path, body, more=more: {"choices": [choice], **more}
        assert ask(model)[0].text == text


# The content filter.


def test_an_answer_that_the_content_filter_has_cut_is_counted(server: Any) -> None:
    choice = {"message": {"content": "Half"}, "finish_reason": "content_filter"}
    server.reply = lambda path, body: {"choices": [choice]}
    model = model_at(server.url)
    [response] = ask(model)
    assert (response.text, response.filtered, response.error) == ("Half", True, "")
    assert flags_of(response) == ["refusal"]
    assert Response.from_json(response.to_json()) == response
    assert any("content filter has cut 1 of 1 responses" in note for note in model.notes)
    assert "filtered" not in Response(text="whole").to_json()
