"""What a user may write for a model behind a server."""

from __future__ import annotations

import subprocess
import sys

import pytest

from olmes.errors import OlmesError
from olmes.models.http.endpoint import OFFICIAL, Endpoint, parse_endpoint
from olmes.models.http.openai import OpenAIModel
from olmes.models.spec import load_model


@pytest.mark.parametrize(
    ("target", "model", "url"),
    [
        ("gpt-x", "gpt-x", OFFICIAL),
        ("m@http://host", "m", "http://host/v1"),
        ("m@http://host:8000/", "m", "http://host:8000/v1"),
        ("m@http://host:8000/v1", "m", "http://host:8000/v1"),
        ("m@http://host:8000/v1/", "m", "http://host:8000/v1"),
        ("m@HTTPS://Host.Example:443//v1", "m", "https://host.example/v1"),
        ("m@https://host/openai/v1/chat/completions", "m", "https://host/openai/v1"),
        ("m@https://host/v1beta/openai/", "m", "https://host/v1beta/openai"),
        ("owner/name:tag@http://[::1]:80", "owner/name:tag", "http://[::1]/v1"),
        ("m@v2@http://host", "m@v2", "http://host/v1"),
        ("/a folder/x@http://host", "/a folder/x", "http://host/v1"),
    ],
)
def test_names_and_addresses_are_parsed(target: str, model: str, url: str) -> None:
    assert parse_endpoint(target) == Endpoint(model, url)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("@http://host", "no model is named"),
        ("m@localhost:8000", "start it with http://"),
        ("m@http://", "cannot be read"),
        ("m@http://host:port", "cannot be read"),
        ("m@http://ho st", "cannot be read"),
        ("m@http://user:hunter2@host/v1", "contains a password"),
        ("m@http://host/v1?key=hunter2", "contains a password"),
        ("m@http://host/v1#hunter2", "contains a password"),
    ],
)
def test_addresses_that_lead_nowhere_are_refused(target: str, message: str) -> None:
    with pytest.raises(OlmesError, match=message) as caught:
        load_model(f"openai:{target}")
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_load_model_makes_it_without_a_word_to_the_server() -> None:
    model = load_model("openai:m@http://127.0.0.1:9", batch_size=3, max_length=9, device="cpu")
    assert isinstance(model, OpenAIModel)
    assert model.name == "openai:m@http://127.0.0.1:9/v1"
    assert model.batch_size == 3
    assert model.cacheable
    with pytest.raises(OlmesError, match="batch_size is 0"):
        load_model("openai:m@http://127.0.0.1:9", batch_size=0)


def test_making_it_imports_nothing_heavy() -> None:
    script = (
        "import sys; from olmes.models.spec import load_model; "
        "load_model('openai:m@http://127.0.0.1:9'); "
        "heavy = {'aiohttp', 'requests', 'torch', 'transformers', 'numpy'}; "
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
