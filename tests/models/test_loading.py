"""Where a model is put, in which type, and what a launcher's environment changes: nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from elm.models import ModelError, Request, build  # noqa: E402
from elm.models.devices import choose_device, choose_dtype  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PROMPTS = ["def f():\n    a = 1", "def f():\n    b = 22\n", "x = "]


@pytest.fixture
def accelerators(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes torch see some number of devices of a kind."""

    def pretend(count: int, kind: str = "cuda") -> None:
        current = torch.device(kind) if count else None
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.accelerator, "device_count", lambda: count)
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: current)

    monkeypatch.delenv("LOCAL_RANK", raising=False)
    return pretend


def test_ranks_spread_over_the_devices_of_their_machine(accelerators, monkeypatch):
    accelerators(4)
    assert choose_device() == torch.device("cuda", 0)
    chosen = []
    for rank in range(6):
        monkeypatch.setenv("LOCAL_RANK", str(rank))
        assert choose_device("cuda") == choose_device("auto")
        chosen.append(choose_device().index)
        assert choose_device("cuda:3") == torch.device("cuda", 3)
        assert choose_device("cpu") == torch.device("cpu")
    assert chosen == [0, 1, 2, 3, 0, 1]
    accelerators(1, "mps")
    assert choose_device() == torch.device("mps", 0)


@pytest.mark.parametrize(
    ("asked", "count", "message"),
    [
        ("cuda", 0, "sees no accelerator here"),
        ("cuda:0", 0, "sees no accelerator here"),
        ("cuda:2", 2, "the last one here is cuda:1"),
        ("xpu", 2, "sees 2 of kind cuda"),
        ("gpu", 2, "sees 2 of kind cuda"),
        ("cpu:1", 2, "sees 2 of kind cuda"),
        ("auto:1", 0, "sees no accelerator"),
        ("cuda:x", 2, "expected auto, cpu, cuda or cuda:<number>, got 'cuda:x'"),
        ("", 2, "expected auto, cpu"),
    ],
)
def test_a_device_that_is_not_there_is_one_line(asked, count, message, accelerators):
    accelerators(count)
    with pytest.raises(ModelError, match=message) as raised:
        choose_device(asked)
    assert "\n" not in str(raised.value)


def test_a_rank_that_is_no_number_is_refused(accelerators, monkeypatch):
    accelerators(2)
    monkeypatch.setenv("LOCAL_RANK", "first")
    with pytest.raises(ModelError, match="LOCAL_RANK: expected a number from 0, got 'first'"):
        choose_device()


def test_without_an_accelerator_it_is_the_processor(accelerators):
    accelerators(0)
    assert choose_device() == torch.device("cpu")
    assert choose_dtype("float16", torch.device("cpu")) == torch.float16
    assert choose_dtype("auto", torch.device("cpu")) in (torch.float32, torch.bfloat16)


def folder_settings(folder: Path, **options: Any) -> dict[str, Any]:
    settings = {"kind": "transformers", "name": str(folder), "dtype": "float32", "threads": 1}
    return settings | {"max_new_tokens": 24, "device": "cpu"} | options


def texts(settings: dict[str, Any]) -> list[str]:
    model = build(settings)
    assert model is not None
    requests = [Request(prompt=prompt, seed=seed) for seed, prompt in enumerate(PROMPTS)]
    done = [completion.text for completion in model.complete(requests)]
    model.close()
    return done


def test_the_device_map_of_the_library_gives_the_same_completions(tiny_folder):
    plain = texts(folder_settings(tiny_folder))
    assert texts(folder_settings(tiny_folder, device="auto", device_map="auto")) == plain
    assert len(set(plain)) == len(PROMPTS)


def test_a_model_spread_by_the_library_is_left_where_it_is(tiny_folder, tmp_path):
    from elm.models.causal import CausalModel
    from elm.models.generic import GenericEngine

    places: dict[str, Any] = {"model.embed_tokens": "cpu", "lm_head": "cpu", "model.norm": "cpu"}
    places |= {"model.rotary_emb": "cpu", "model.layers.0": "cpu", "model.layers.1": "disk"}
    places |= {"model.layers.2": "cpu"}
    model = transformers.AutoModelForCausalLM.from_pretrained(
        tiny_folder, dtype=torch.float32, device_map=places, offload_folder=tmp_path / "offload"
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_folder)
    ours = CausalModel(
        "spread", model, tokenizer, dtype=torch.float32, threads=1, max_new_tokens=24
    )
    assert isinstance(ours._engine, GenericEngine)
    requests = [Request(prompt=prompt, seed=seed) for seed, prompt in enumerate(PROMPTS)]
    assert [c.text for c in ours.complete(requests)] == texts(
        folder_settings(tiny_folder, top_p=0.95)
    )


def test_settings_that_exclude_each_other_are_refused(tiny_folder):
    with pytest.raises(ModelError, match=r"model\.device and model\.device_map exclude"):
        build(folder_settings(tiny_folder, device="cpu", device_map="auto"))


def test_what_does_not_fit_is_one_line(tiny_folder, monkeypatch):
    from elm.models import causal

    def no_room(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.\nGPU 0 has ...")

    monkeypatch.setattr(causal, "LlamaWeights", no_room)
    with pytest.raises(ModelError, match=r"does not fit on cpu: CUDA out.*device_map=auto") as said:
        build(folder_settings(tiny_folder))
    assert "\n" not in str(said.value)


SCRIPT = """
import hashlib, json, sys, threading
import torch
from elm.models import Request, build
settings = json.loads(sys.argv[1])
model = build(settings)
requests = [Request(prompt=p, seed=i) for i, p in enumerate(json.loads(sys.argv[2]))]
said = {}
def work():  # as a run does, which generates beside its own thread
    said["texts"] = [c.text for c in model.complete(requests)]
    said["threads"] = torch.get_num_threads()
    engine = model._engine
    with torch.inference_mode():
        from elm.models.trunks import arrange
        tokens = [model.words.encode(r.prompt) for r in requests]
        logits = engine.start(arrange(tokens), 4)
        bits = logits.numpy().tobytes() + engine.step(logits.argmax(-1)).numpy().tobytes()
    said["bits"] = hashlib.sha256(bits).hexdigest()
thread = threading.Thread(target=work)
thread.start(); thread.join()
said["process_group"] = torch.distributed.is_available() and torch.distributed.is_initialized()
print(json.dumps(said))
"""


@pytest.mark.slow
def test_a_launchers_environment_changes_no_bit(tiny_folder):
    """What `accelerate launch` and `torchrun` set, threads of OpenMP included."""
    launcher = {
        "OMP_NUM_THREADS": "1",
        "RANK": "1",
        "LOCAL_RANK": "1",
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29500",
        "ACCELERATE_MIXED_PRECISION": "bf16",
        "ACCELERATE_USE_CPU": "true",
        "ACCELERATE_DYNAMO_BACKEND": "no",
        "TORCHELASTIC_RUN_ID": "none",
    }
    settings = folder_settings(tiny_folder, threads=2, device="auto")
    arguments = [sys.executable, "-c", SCRIPT, json.dumps(settings), json.dumps(PROMPTS)]
    plain = {key: value for key, value in os.environ.items() if key not in launcher}
    said = [
        subprocess.run(
            arguments,
            env=plain | {"PYTHONPATH": str(ROOT)} | extra,
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for extra in ({}, launcher)
    ]
    without, within = (json.loads(text.splitlines()[-1]) for text in said)
    assert without == within
    assert without["threads"] == 2
    assert without["process_group"] is False
