"""Whole runs whose children an endpoint writes: they go on, keep what was paid for, and no key."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import endpoint_server as does
import pytest

import elm
from elm.models import FatalModelError

ROOT = Path(__file__).parents[2]
CANARY = "sk-canary-0123456789abcdefghijk"
PRICES = {"input": 1.0, "output": 10.0}
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def server():
    with does.serving() as server:
        yield server


def child(request):
    """A program that is a new one for each seed."""
    return f"Better:\n```python\ndef make_string():\n    return 'quality {request['seed']}'\n```\n"


CHILD = does.answer(child)


def settings(server, folder, **more):
    model = {
        "kind": "openai",
        "name": "m",
        "base_url": server.url,
        "pause_seconds": 0.01,
        "max_tries": 2,
        "timeout_seconds": 60.0,
        "prices": PRICES,
        "api_key_env": "ELM_NONE",
    }
    return {
        "environment": {"name": "string"},
        "model": model,
        "variation": {"name": "rewrite"},
        "budget": {"model_calls": 24},
        "dispatch": {"name": "local", "slots": 1},
        "batch_size": 8,
        "run_dir": str(folder),
        "run_name": "run",
        "report": False,
        "view": "none",
        **more,
    }


def rows(folder, query):
    with sqlite3.connect(folder / "run" / "journal.db") as journal:
        return journal.execute(query).fetchall()


def test_a_run_goes_on_through_every_fault_and_counts_what_it_paid(server, tmp_path):
    server.plan = [
        CHILD,  # once it has worked, single failures end nothing
        does.status(500),
        does.status(429, Retry_After="0.01"),
        does.cut,
        does.hang_up,
        does.status(400, "This model's maximum context length is 10 tokens"),
        does.raw(b"<html>", "text/html"),
        does.as_json({"choices": []}),
        does.answer(""),
        does.answer("x" * 200_000),
        does.raw(b'{"choices":[{"message":{"content":"\xff\xfe"}}]}'),
        does.answer("I am sorry.", finish="content_filter"),
        CHILD,
    ]
    model = settings(server, tmp_path)["model"] | {"concurrency": 1, "max_tries": 6}
    summary = elm.run(settings(server, tmp_path, model=model))
    assert summary["ending"] == "budget.model_calls" and summary["model_calls"] == 24
    assert summary["statuses"]["ok"] >= 8 and summary["statuses"]["model_error"] == 4
    assert sum(summary["statuses"].values()) == 24
    tries = rows(tmp_path, "SELECT SUM(tries) FROM attempts")[0][0]
    assert tries == len(server.asked) == 28  # four of them passed when asked again
    assert summary["cost"] == pytest.approx(rows(tmp_path, "SELECT SUM(cost) FROM attempts")[0][0])
    # All that came with a usage, the one that the filter stopped included, and the odd bytes.
    assert summary["cost"] > 19 * (100 * 1 + 20 * 10) / 1e6
    details = " ".join(text for (text,) in rows(tmp_path, "SELECT detail FROM candidates"))
    for words in ("do not fit its context", "a web page", "no choice at all", "content filter"):
        assert words in details
    assert not summary["reproducible"]


def test_a_key_that_is_withdrawn_ends_the_run_and_a_resumed_one_pays_nothing_twice(
    server, tmp_path
):
    server.plan = [CHILD] * 10 + [does.status(401, "revoked")]
    with pytest.raises(FatalModelError, match="refuses the key in ELM_NONE"):
        elm.run(settings(server, tmp_path))
    paid = 10
    server.plan, server.asked = [CHILD], []
    summary = elm.run(settings(server, tmp_path, resume=True))
    assert summary["ending"] == "budget.model_calls" and summary["model_calls"] == 24
    good = rows(tmp_path, "SELECT COUNT(*) FROM attempts WHERE completion != ''")[0][0]
    assert good == paid + len(server.asked)


def test_an_ensemble_of_two_endpoints_writes_one_run(server, tmp_path):
    plain = settings(server, tmp_path)["model"]
    server.plan = [CHILD]
    with does.serving() as other:
        other.plan = [CHILD]
        members = {
            "fast": plain | {"weight": 3.0},
            "strong": plain | {"name": "n", "base_url": other.url},
        }
        ensemble = {"kind": "ensemble", "name": "two", "members": members}
        summary = elm.run(settings(server, tmp_path, model=ensemble))
        assert summary["model"] == "two" and summary["model_calls"] == 24
        written = Counter(
            model for (model,) in rows(tmp_path, "SELECT model FROM candidates WHERE block > 0")
        )
        assert written == {"fast": 18, "strong": 6}
        assert (len(server.asked), len(other.asked)) == (18, 6)


# -- the key ------------------------------------------------------------------------------------

SPY = """
def make_string():
    import glob, os
    found = "clean"
    places = [*glob.glob("/proc/*/environ"), *glob.glob("/proc/*/cmdline")]
    texts = [repr(dict(os.environ))]
    for place in [*places, ".env", "/.env"]:
        try:
            texts.append(open(place, "rb").read().decode("latin-1"))
        except OSError:
            pass
    if any("canary" + "-0123" in text for text in texts):
        found = "the key is here"
    return found + " %d"
"""


def command(server, folder, *words, **variables):
    """`python run_elm.py` with a key in its environment."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENAI_")} | variables
    return subprocess.run(
        [
            sys.executable,
            str(ROOT / "run_elm.py"),
            "environment=string",
            "model=openai",
            "variation=rewrite",
            "model.name=m",
            "budget.model_calls=16",
            "batch_size=4",
            "dispatch.slots=1",
            f"run_dir={folder}",
            "run_name=run",
            *words,
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=560,
    )


def all_files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_the_key_goes_to_the_endpoint_and_nowhere_else(server, tmp_path):
    def spy(request):
        return f"```python{SPY % (request['seed'] % 10**6)}```"

    server.plan = [
        does.answer(spy),
        does.answer(spy),
        does.echo_key(200),
        does.echo_key(400),
        does.echo_key(403),
        does.echo_key(500),
        does.answer(spy),
    ]
    done = command(server, tmp_path, OPENAI_API_KEY=CANARY, OPENAI_BASE_URL=server.url)
    assert done.returncode == 0, done.stderr
    assert server.asked[0]["headers"]["Authorization"] == f"Bearer {CANARY}"
    strings = [
        json.loads(data)
        for (data,) in rows(tmp_path, "SELECT data FROM evaluations WHERE status = 'ok'")
    ]
    assert any("clean" in json.dumps(one) for one in strings)
    assert "the key is here" not in json.dumps(strings)
    assert CANARY not in done.stdout + done.stderr
    files = all_files(tmp_path)
    assert {"journal.db", "config.yaml", "summary.json", "report.html"} <= {f.name for f in files}
    for path in files:
        assert CANARY.encode() not in path.read_bytes(), path
    # The endpoint did repeat it, as an answer and in errors; these were kept without it.
    kept = " ".join(text for (text,) in rows(tmp_path, "SELECT completion FROM attempts"))
    assert "Bearer [key]" in kept


def test_a_wrong_key_ends_the_run_with_one_line_that_does_not_repeat_it(server, tmp_path):
    server.plan = [does.echo_key(401)]
    done = command(server, tmp_path, f"model.base_url={server.url}", OPENAI_API_KEY=CANARY)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"error: model m: {server.url} refuses the key in OPENAI_API_KEY")
    assert "Traceback" not in done.stderr and CANARY not in done.stdout + done.stderr
    assert all(CANARY.encode() not in path.read_bytes() for path in all_files(tmp_path))


def test_no_key_at_all_is_one_line_before_anything_is_made(server, tmp_path):
    done = command(server, tmp_path / "runs")
    assert done.returncode in (1, 2)
    assert "error: model=openai: there is no key: put it into OPENAI_API_KEY" in done.stderr
    assert not (tmp_path / "runs" / "run").exists()


def test_an_error_that_is_raised_holds_no_key(server, tmp_path, monkeypatch):
    import traceback

    monkeypatch.setenv("ELM_NONE", CANARY)
    server.plan = [does.echo_key(401)]
    with pytest.raises(FatalModelError) as caught:
        elm.run(settings(server, tmp_path))
    shown = "".join(traceback.format_exception(caught.value))
    assert CANARY not in shown and "[key]" in str(caught.value)
