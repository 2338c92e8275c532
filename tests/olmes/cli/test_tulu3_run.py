"""The whole development suite of Tülu 3 by one command: demo data, the embedded model, one page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from olmes.benchmark.registry import load_suite, load_task

WIDTH = 80
LONGEST = 16
"""Tokens of a response."""
WILDGUARD = "Harmful request: yes\nResponse refusal: no\nHarmful response: no"


class Judge(BaseHTTPRequestHandler):
    """A judge that was never trained: one that says the same of every response, in the form asked."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.send({"data": [{"id": "judge"}]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        question = json.dumps(asked.get("messages") or asked.get("prompt"))
        if "armful" in question:
            said = WILDGUARD
        elif asked.get("top_logprobs"):
            said = "m"
        else:
            said = "A"
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        likely = [{"token": "m", "logprob": -0.1}, {"token": "M", "logprob": -2.4}]
        weighed = {"content": [{**likely[0], "top_logprobs": likely}]}
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": said},
            "text": said,
            "logprobs": weighed if asked.get("top_logprobs") else None,
        }
        self.send({"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 1}})

    def send(self, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def judge() -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Judge)
    server.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.slow
@pytest.mark.parametrize("suite", ["tulu3_dev", "tulu3_unseen"])
def test_a_suite_ends_in_one_page(suite: str, judge: Any, tmp_path: Path) -> None:
    environment = os.environ | {
        "COLUMNS": str(WIDTH),
        "OLMES_OFFLINE": "1",
        "HF_HUB_OFFLINE": "1",
        "OLMES_CACHE": str(tmp_path / "cache"),
    }
    environment.pop("OLMES_DATA", None)
    command = [sys.executable, "-m", "olmes", "run", "--suite", suite, "--model", "smollm2"]
    command += ["--limit", "2", "--out", str(tmp_path / "runs"), "--reason", "the whole of it"]
    command += ["--judge", f"openai:judge@http://127.0.0.1:{judge.server_port}"]
    members = load_suite(suite).tasks
    # Shortened: what 135 million parameters say after that adds minutes and no branch.
    longer = [
        name for name in members if load_task(name).formulation.generation.max_tokens > LONGEST
    ]
    command += [word for name in longer for word in ("--set", f"{name}.max_tokens={LONGEST}")]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=3600
    )
    assert "Traceback" not in done.stderr
    [folder] = [path.parent for path in (tmp_path / "runs").glob("*/run.json")]
    record = json.loads((folder / "run.json").read_text("utf-8"))
    # A task may need what this machine lacks (a sandbox, an environment); then it is said, with why.
    run, not_run = set(record["tasks"]), record["not_run"]
    assert run | set(not_run) == set(members)
    assert all(len(why) > 20 for why in not_run.values())
    for name in run:
        task = record["tasks"][name]
        assert task["data"]["origin"] == "demo"
        assert task["items"] == 2
        assert task["metrics"][task["primary"]]["n"] > 0, f"{name}: {done.stderr}"
        assert load_task(name).title == task["title"]
    assert record["suite"]["missing"] == [name for name in members if name in not_run]
    assert record["suite"]["value"] is not None
    assert judge.asked
    page = (folder / "report.html").read_text("utf-8")
    assert all(record["tasks"][name]["title"] in page for name in run)
    # Every line fits, but for paths and sentences that a terminal breaks by itself.
    table = done.stdout.partition("record ")[0].splitlines()
    rows = [line for line in table if any(line.strip().startswith(name) for name in run)]
    assert len(rows) >= len(run)
    assert max(map(len, rows)) <= WIDTH
    (tmp_path / "terminal.txt").write_text(done.stdout, "utf-8")
