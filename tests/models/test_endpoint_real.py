"""A real server of the OpenAI protocol, `transformers serve`, around the bundled model."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import time

import pytest

pytest.importorskip("torch")
pytest.importorskip("fastapi")

import elm
import elm.models
from elm.models import Message, Request

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
START_SECONDS = 400


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """The address of the server, which has the weights in a folder as `transformers` writes it."""
    from elm.models.loading import base_model

    folder = tmp_path_factory.mktemp("served")
    model, tokenizer = base_model("smollm2")
    model.save_pretrained(folder / "smollm2")
    tokenizer.save_pretrained(folder / "smollm2")
    del model
    log = folder / "log"
    words = ["-c", "from transformers.cli.transformers import main; main()", "serve"]
    words += [str(folder / "smollm2"), "--host", "127.0.0.1", "--port", "0"]
    words += ["--device", "cpu", "--dtype", "float32", "--log-level", "info"]
    with (
        log.open("wb") as file,
        subprocess.Popen(
            [sys.executable, *words],
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "COLUMNS": "300"},
        ) as process,
    ):
        try:
            yield _address(process, log) + "/v1"
        finally:
            process.kill()


def _address(process, log):
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends and process.poll() is None:
        found = re.search(r"Uvicorn running on (http://[\d.:]+)", log.read_text(errors="replace"))
        if found:
            return found[1]
        time.sleep(0.2)
    raise AssertionError(log.read_text(errors="replace")[-3000:])


def settings(url, kind="openai", **more):
    return {
        "kind": kind,
        "name": "smollm2" if kind == "openai" else "openai/smollm2",
        "base_url": url,
        "api_key_env": "ELM_NONE",
        "concurrency": 2,
        "max_new_tokens": 16,
        "timeout_seconds": 300.0,
        "prices": {"input": 1.0, "output": 2.0},
        **more,
    }


@pytest.mark.parametrize("kind", ["openai", "litellm"])
def test_it_answers_conversations_and_counts_tokens(url, kind):
    model = elm.models.build(settings(url, kind))
    try:
        asked = [
            Request(messages=(Message("user", f"Say something about {word}."),), seed=seed)
            for seed, word in enumerate(["rain", "snow"])
        ]
        for done in model.complete(asked):
            assert done.error == "" and done.text.strip()
            assert done.finish_reason in ("stop", "length")
            assert 5 < done.prompt_tokens < 100 and 0 < done.completion_tokens <= 17
            assert done.cost > 0
    finally:
        model.close()


def test_it_continues_texts(url):
    model = elm.models.build(settings(url, api="completions", temperature=0.0))
    try:
        request = Request(prompt="def add(a, b):\n    return a", seed=1)
        first, again = (model.complete([request])[0] for _ in range(2))
        assert first.error == "" and first.text == again.text
        assert "b" in first.text.splitlines()[0]
    finally:
        model.close()


def test_a_run_is_written_by_it(url, tmp_path):
    summary = elm.run(
        environment={"name": "string"},
        model=settings(url, max_new_tokens=32),
        variation={"name": "rewrite"},
        budget={"model_calls": 4},
        dispatch={"name": "local", "slots": 1},
        batch_size=2,
        run_dir=str(tmp_path),
        run_name="run",
        report=False,
        view="none",
    )
    assert summary["ending"] == "budget.model_calls" and summary["model_calls"] == 4
    assert summary["statuses"].get("model_error", 0) == 0
    assert summary["completion_tokens"] > 4 and summary["cost"] > 0
    with sqlite3.connect(tmp_path / "run" / "journal.db") as journal:
        written = journal.execute("SELECT completion, model FROM attempts").fetchall()
    assert len(written) == 4 and all(text.strip() for text, _ in written)
    assert {model for _, model in written} == {"smollm2"}
