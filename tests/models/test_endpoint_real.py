"""A real server of the OpenAI protocol, `transformers serve`, around the bundled model."""

from __future__ import annotations

import json
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
def served(tmp_path_factory):
    """The folder of the weights as `transformers` writes it: the server knows it by its path."""
    from elm.models.loading import base_model
    from elm.models.weights import cache_folder, manifest

    base_model("smollm2")  # converted, if that was not done before
    weights = manifest()["smollm2"]
    converted = cache_folder() / "converted" / "smollm2" / weights.sha256[:16]
    folder = tmp_path_factory.mktemp("served") / "smollm2"
    folder.mkdir()
    for file in converted.iterdir():
        (folder / file.name).symlink_to(file)
    config = json.loads((converted / "config.json").read_text())
    (folder / "config.json").unlink()
    config["architectures"] = ["LlamaForCausalLM"]
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def url(served):
    """The server's address."""
    folder = served.parent
    log = folder / "log"
    words = ["-c", "from transformers.cli.transformers import main; main()", "serve"]
    words += [str(served), "--host", "127.0.0.1", "--port", "0"]
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


def settings(url, served, kind="openai", **more):
    return {
        "kind": kind,
        "name": str(served) if kind == "openai" else f"openai/{served}",
        "base_url": url,
        "api_key_env": "ELM_NONE",
        "concurrency": 2,
        "max_new_tokens": 16,
        "timeout_seconds": 300.0,
        "prices": {"input": 1.0, "output": 2.0},
        **more,
    }


@pytest.mark.parametrize("kind", ["openai", "litellm"])
def test_it_answers_conversations_and_counts_tokens(url, served, kind):
    model = elm.models.build(settings(url, served, kind))
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


def test_it_continues_texts(url, served):
    model = elm.models.build(settings(url, served, api="completions", temperature=0.0))
    try:
        request = Request(prompt="def add(a, b):\n    return a", seed=1)
        first, again = (model.complete([request])[0] for _ in range(2))
        assert first.error == "" and first.text == again.text
        assert "b" in first.text.splitlines()[0]
    finally:
        model.close()


def test_a_run_is_written_by_it(url, served, tmp_path):
    summary = elm.run(
        environment={"name": "string"},
        model=settings(url, served, max_new_tokens=32),
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
    assert {model for _, model in written} == {str(served)}
