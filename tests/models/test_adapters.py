"""LoRA adapters: what they do to a model, and what is said of those that do not fit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
peft = pytest.importorskip("peft")

from safetensors.torch import load_file, save_file  # noqa: E402

from elm.models import ModelError, Request, adapters, build  # noqa: E402

PROMPT = "def f():\n    a = 1\n    return a\n"


def make_adapter(model: Any, folder: Path, base: str, **options: Any) -> Any:
    """Random weights, so that it does something; returns peft's own model with it."""
    options = {
        "r": 4,
        "lora_alpha": 8,
        "target_modules": ["q_proj", "v_proj", "down_proj"],
    } | options
    adapted = peft.get_peft_model(model, peft.LoraConfig(task_type="CAUSAL_LM", **options))
    generator = torch.Generator().manual_seed(3)
    for key, parameter in adapted.named_parameters():
        if "lora_" in key:
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1
    adapted.peft_config["default"].base_model_name_or_path = base
    adapted.save_pretrained(folder, save_embedding_layers=False)
    return adapted.eval()


@pytest.fixture
def adapter(tiny_llama: Any, tmp_path: Path) -> Path:
    folder = tmp_path / "quick"
    make_adapter(tiny_llama, folder, "someone/tiny-llama")
    return folder


@pytest.fixture
def settings(tiny_folder: Path) -> dict[str, Any]:
    return {
        "kind": "transformers",
        "name": str(tiny_folder),
        "dtype": "float32",
        "device": "cpu",
        "threads": 1,
        "max_new_tokens": 24,
        "temperature": 0.0,
    }


def complete(settings: dict[str, Any]) -> str:
    model = build(settings)
    assert model is not None
    text = model.complete([Request(prompt=PROMPT, seed=0)])[0].text
    model.close()
    return text


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("ELM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("engine", ["auto", "transformers", "continuous"])
def test_completions_are_those_of_peft_without_merging(engine, settings, adapter, tiny_folder):
    settings["engine"] = engine
    plain = transformers.AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    unmerged = peft.PeftModel.from_pretrained(plain, adapter).eval()
    tokens = torch.tensor([[ord(letter) for letter in PROMPT]])
    whole = unmerged.generate(
        input_ids=tokens,
        attention_mask=torch.ones_like(tokens),
        max_new_tokens=24,
        do_sample=False,
    )
    expected = "".join(map(chr, whole[0, tokens.shape[1] :].tolist())).split("\0")[0]
    adapted = complete(settings | {"adapter": str(adapter)})
    assert adapted == expected
    assert adapted != complete(settings)


def test_logits_equal_those_of_peft_without_merging(adapter, tiny_folder, tiny_llama):
    plain = transformers.AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    tokens = torch.tensor([[ord(letter) for letter in PROMPT]])
    with torch.inference_mode():
        before = plain(tokens).logits.clone()
        merged = adapters.merge(plain, adapter, ["tiny-llama"])(tokens).logits
        other = transformers.AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
        oracle = peft.PeftModel.from_pretrained(other, adapter).eval()(tokens).logits
    torch.testing.assert_close(merged, oracle, atol=1e-4, rtol=1e-3)
    assert (merged - before).abs().max() > 0.1


def test_an_adapter_is_found_by_its_name_and_named_in_reports(settings, adapter, cache):
    shutil.copytree(adapter, cache / "adapters" / "walker")
    model = build(settings | {"adapter": "walker"})
    assert model is not None
    assert model.name == f"{settings['name']}+walker"
    assert list(model.active_parameters) == [model.name]
    assert model.fingerprint == adapters.fingerprint(adapter)
    model.close()
    weights = cache / "adapters" / "walker" / adapters.WEIGHTS
    tensors = load_file(weights)
    save_file({key: value * 2 for key, value in tensors.items()}, weights)
    assert adapters.fingerprint(weights.parent) != adapters.fingerprint(adapter)


def test_an_unknown_name_is_answered_with_the_known_ones(settings, adapter, cache):
    for name in ("walker", "runner"):
        shutil.copytree(adapter, cache / "adapters" / name)
    with pytest.raises(ModelError, match=r"unknown 'walkr', did you mean 'walker'.*runner, walker"):
        build(settings | {"adapter": "walkr"})


def test_an_adapter_of_every_linear_layer(settings, tmp_path, tiny_llama):
    folder = tmp_path / "whole"
    adapted = make_adapter(
        tiny_llama, folder, "tiny-llama", target_modules="all-linear", use_rslora=True
    )
    tokens = torch.tensor([[ord(letter) for letter in PROMPT]])
    with torch.inference_mode():
        oracle = adapted(tokens).logits[0, -1].argmax()
    assert complete(settings | {"adapter": str(folder), "max_new_tokens": 1}) in (
        "",
        chr(int(oracle)),
    )


def change_config(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / adapters.CONFIG).read_text())
    (folder / adapters.CONFIG).write_text(json.dumps(config | changes))


def drop_tensor(folder: Path) -> None:
    tensors = load_file(folder / adapters.WEIGHTS)
    tensors.pop(sorted(tensors)[0])
    save_file(tensors, folder / adapters.WEIGHTS)


def rename_tensor(folder: Path) -> None:
    tensors = load_file(folder / adapters.WEIGHTS)
    key = sorted(tensors)[0]
    tensors[key.replace("layers.0", "layers.77")] = tensors.pop(key)
    save_file(tensors, folder / adapters.WEIGHTS)


def reshape_tensor(folder: Path) -> None:
    tensors = load_file(folder / adapters.WEIGHTS)
    key = sorted(tensors)[0]
    tensors[key] = torch.zeros(4, 96)
    save_file(tensors, folder / adapters.WEIGHTS)


def truncate(folder: Path) -> None:
    path = folder / adapters.WEIGHTS
    path.write_bytes(path.read_bytes()[:-100])


def spoil(folder: Path) -> None:
    tensors = load_file(folder / adapters.WEIGHTS)
    tensors = {key: value * float("nan") for key, value in tensors.items()}
    save_file(tensors, folder / adapters.WEIGHTS)


DAMAGE = {
    "no weights": (
        lambda f: (f / adapters.WEIGHTS).unlink(),
        "adapter_model.safetensors is missing",
    ),
    "no config": (lambda f: (f / adapters.CONFIG).unlink(), "has no adapter_config.json"),
    "config": (lambda f: (f / adapters.CONFIG).write_text("{"), "adapter_config.json is damaged"),
    "config list": (
        lambda f: (f / adapters.CONFIG).write_text("[]"),
        "damaged: expected an object",
    ),
    "cut off": (truncate, "adapter_model.safetensors is damaged"),
    "no safetensors": (lambda f: (f / adapters.WEIGHTS).write_bytes(b"x" * 99), "is damaged"),
    "nan": (spoil, "cannot be merged"),
    "base": (lambda f: change_config(f, base_model_name_or_path="a/b"), "trained for 'a/b', not"),
    "kind": (lambda f: change_config(f, peft_type="IA3"), "'IA3'; only LORA"),
    "rank": (lambda f: change_config(f, r=2), "cannot be merged"),
    "modules": (
        lambda f: change_config(f, target_modules=["k_proj"]),
        "down_proj.lora_A.weight is not of",
    ),
    "layer": (rename_tensor, r"no layer 'model.layers.77.mlp.down_proj'"),
    "shape": (reshape_tensor, r"does not fit; the adapter is for a model of another size"),
    "one missing": (drop_tensor, "is missing"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_what_is_wrong_with_an_adapter_is_one_line(what, settings, adapter):
    harm, message = DAMAGE[what]
    harm(adapter)
    with pytest.raises(ModelError, match=message) as raised:
        build(settings | {"adapter": str(adapter)})
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 400


def test_quantised_weights_take_no_adapter(settings, adapter):
    with pytest.raises(ModelError, match=r"model\.adapter.*4 bits.*load_in_4bit"):
        build(settings | {"adapter": str(adapter), "load_in_4bit": True})


@pytest.mark.slow
def test_the_bundled_model_with_an_adapter(tmp_path):
    from elm.models.loading import base_model
    from tests.models.test_generation import texts

    model, tokenizer = base_model("smollm2")
    base = model.config._name_or_path
    adapted = make_adapter(model, tmp_path / "odd", base)
    tokens = torch.tensor([tokenizer.encode(PROMPT)])
    with torch.inference_mode():
        expected = adapted(tokens).logits[0, -1]
        model, _ = base_model("smollm2")
        logits = adapters.merge(model, tmp_path / "odd", ["smollm2"])(tokens).logits[0, -1]
    torch.testing.assert_close(logits, expected, atol=2e-2, rtol=1e-3)
    made = []
    for name in (None, str(tmp_path / "odd")):
        settings = {"kind": "bundled", "name": "smollm2", "adapter": name, "max_new_tokens": 8}
        ours = build(settings | {"dtype": "float32", "temperature": 0.0, "device": "cpu"})
        assert ours is not None
        made += texts(ours.complete([Request(prompt=PROMPT, seed=0)]))
        ours.close()
    assert made[0] != made[1]
    assert ours.name == "smollm2+odd"
