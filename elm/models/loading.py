"""Loads causal models with `transformers`, with their adapters, onto the device of this process."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file

from elm.models import adapters
from elm.models.base import LanguageModel, ModelError
from elm.models.causal import CausalModel
from elm.models.continuous import ContinuousModel
from elm.models.devices import choose_device, choose_dtype
from elm.models.sampling import Sampling
from elm.models.settings import ModelSettings
from elm.models.weights import cache_folder, manifest, obtain, sha256_of

_SEAL = "converted.json"  # checksums of a converted model's files, written last


def load(settings: ModelSettings) -> LanguageModel:
    """The model of a configuration, on the device that this process is to use.

    Raises:
        ModelError: if it cannot be had, in one line that says what to do.
    """
    folder = adapters.find(settings.adapter) if settings.adapter else None
    device = choose_device(settings.device)
    if device.type != "cpu":
        torch.accelerator.set_device_index(device.index)
    dtype = choose_dtype(settings.dtype, device)
    name, fingerprint = settings.name, ""
    try:
        model, tokenizer = model_and_tokenizer(settings, dtype, device)
        if settings.kind == "bundled":
            parameters: int | None = manifest()[settings.name].active_parameters
        else:
            parameters = settings.active_parameters or _parameters(model)
        if folder is not None:
            fingerprint = adapters.fingerprint(folder)
            model = adapters.merge(model, folder, _names(settings))
            name = f"{settings.name}+{folder.name}"
        common: dict[str, Any] = {
            "dtype": dtype,
            # What the library placed, by a map or for its quantisation, stays there.
            "device": None if hasattr(model, "hf_device_map") else device,
            "active_parameters": parameters,
            "threads": settings.threads,
            "micro_batch": settings.micro_batch,
            "max_new_tokens": settings.max_new_tokens,
            "sampling": Sampling(
                temperature=settings.temperature, top_p=settings.top_p, top_k=settings.top_k
            ),
            "fingerprint": fingerprint,
        }
        if settings.engine == "continuous":
            return ContinuousModel(name, model.eval(), tokenizer, **common)
        return CausalModel(name, model.eval(), tokenizer, engine=settings.engine, **common)
    except (MemoryError, torch.OutOfMemoryError) as error:
        said = (str(error).splitlines() or ["out of memory"])[0]
        raise ModelError(
            f"model {settings.name} does not fit on {device}: {said}; choose a smaller model, "
            "model.dtype=bfloat16, or model.device_map=auto (model=transformers), which spreads "
            "it over all devices"
        ) from error


def model_and_tokenizer(
    settings: ModelSettings, dtype: torch.dtype, device: torch.device
) -> tuple[Any, Any]:
    """The library's model of a configuration, not yet on its device, and its tokenizer.

    Raises:
        ModelError: if they cannot be had.
    """
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if settings.kind == "bundled":
        return base_model(settings.name)
    return _from_hub(settings, dtype, device)


def _names(settings: ModelSettings) -> list[str]:
    """What the model of a configuration is called, here and where it comes from."""
    names = [settings.name]
    if settings.kind == "bundled":
        weights = manifest()[settings.name]
        names += [weights.file.split(".")[0], *(source.name for source in weights.sources)]
    return names


def base_model(name: str) -> tuple[Any, Any]:
    """Model (float32, on the processor) and tokenizer of weights that the manifest names.

    Raises:
        ModelError: if it does not name them, or they cannot be had.
    """
    known = manifest()
    if name not in known:
        raise ModelError(
            f"model.name: the manifest has no weights {name!r}, only {', '.join(sorted(known))}"
        )
    model, tokenizer = _from_gguf(name, obtain(name, known[name]), known[name].sha256)
    model.config._name_or_path = name  # what adapters that are trained on it will say
    return model.eval(), tokenizer


def _parameters(model: Any) -> int | None:
    """Parameters that take part in each token; unknown for mixtures of experts."""
    if any("expert" in key for key in model.config.to_dict()):
        return None
    return sum(p.numel() for p in model.parameters())


def _from_gguf(name: str, path: Path, sha256: str) -> tuple[Any, Any]:
    """Model and tokenizer, in float32. What GGUF is converted to is cached, since it takes time."""
    folder = cache_folder() / "converted" / name / sha256[:16]
    if not _is_sealed(folder, sha256):
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                _convert(path, Path(scratch), sha256)
                if not folder.exists():
                    os.rename(scratch, folder)  # noqa: PTH104 - of a folder, at once
                    Path(scratch).mkdir()  # for its context manager to remove
        except OSError as error:
            print(f"{folder}: cannot keep the converted weights: {error}", file=sys.stderr)
            return _read_gguf(path)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model, transformers.AutoTokenizer.from_pretrained(folder)


def _read_gguf(path: Path) -> tuple[Any, Any]:
    where: dict[str, Any] = {"pretrained_model_name_or_path": path.parent, "gguf_file": path.name}
    model = transformers.AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    model.config.__dict__.pop("quantization_config", None)  # it is not, any more
    return model, transformers.AutoTokenizer.from_pretrained(**where)


def _convert(path: Path, folder: Path, sha256: str) -> None:
    print(f"converting {path.name} (once)", file=sys.stderr)
    model, tokenizer = _read_gguf(path)
    tied = model.config.tie_word_embeddings
    tensors = {
        key: value.contiguous()
        for key, value in model.state_dict().items()
        if not (tied and key == "lm_head.weight")
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    model.config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    seal = {file.name: sha256_of(file) for file in sorted(folder.iterdir())}
    (folder / _SEAL).write_text(json.dumps({"from": sha256, "files": seal}, indent=1))


def _is_sealed(folder: Path, sha256: str) -> bool:
    """Whether the folder holds what was once converted from weights of this checksum.

    Raises:
        ModelError: if it was changed since.
    """
    if not (folder / _SEAL).is_file():
        return False
    seal = json.loads((folder / _SEAL).read_text())
    for name, expected in seal["files"].items():
        if not (folder / name).is_file() or sha256_of(folder / name) != expected:
            raise ModelError(
                f"{folder / name}: wrong checksum: the converted weights were changed; "
                f"delete {folder} to have them made again"
            )
    return bool(seal["from"] == sha256)


def _from_hub(settings: ModelSettings, dtype: torch.dtype, device: torch.device) -> tuple[Any, Any]:
    options: dict[str, Any] = {"dtype": dtype, "revision": settings.revision or "main"}
    if settings.device_map:
        options["device_map"] = settings.device_map
    bits = "4" if settings.load_in_4bit else "8" if settings.load_in_8bit else ""
    if bits and settings.adapter:
        raise ModelError(
            f"model.adapter is merged into the weights, which is not done with weights of {bits} "
            f"bits; leave model.load_in_{bits}bit out"
        )
    if bits:
        if importlib.util.find_spec("bitsandbytes") is None:
            raise ModelError(
                f"model.load_in_{bits}bit=true needs the package bitsandbytes; "
                "install it (pip install bitsandbytes) or leave the setting out"
            )
        options["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=settings.load_in_4bit, load_in_8bit=settings.load_in_8bit
        )
        options.setdefault("device_map", {"": str(device)})
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(settings.name, **options)
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            settings.name, revision=options["revision"]
        )
    except (OSError, ValueError, ImportError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"model.name={settings.name}: cannot be loaded: {reason} "
            "Give the name of a causal model on the hub, or a folder that holds one"
        ) from error
    return model, tokenizer
