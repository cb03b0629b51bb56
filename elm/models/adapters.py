"""LoRA adapters in PEFT's format: found by name, held against the model, merged into its weights.

An adapter (Hu et al., 2022) is a folder with `adapter_config.json` and
`adapter_model.safetensors`. What is wrong with one is said before anything is generated.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from elm.models.base import ModelError
from elm.models.weights import MANIFEST, cache_folder, sha256_of
from environments.construct import suggestion

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_FACTORS = (".lora_A.weight", ".lora_B.weight")


def folders() -> tuple[Path, ...]:
    """Where adapters are looked up by name: those of this project, then those of this user."""
    return MANIFEST.parent / "adapters", cache_folder() / "adapters"


def find(name: str) -> Path:
    """The folder of an adapter, given its path or its name.

    Raises:
        ModelError: if there is none, with the names that are known.
    """
    places = folders()
    for place in places:
        if (place / name / CONFIG).is_file():
            return place / name
    given = Path(name).expanduser()
    if (given / CONFIG).is_file():
        return given
    if given.is_dir():
        raise ModelError(
            f"model.adapter={name}: the folder has no {CONFIG}; a PEFT adapter has {CONFIG} and "
            f"{WEIGHTS}"
        )
    known = sorted({path.parent.name for place in places for path in place.glob(f"*/{CONFIG}")})
    raise ModelError(
        f"model.adapter: unknown {name!r}{suggestion(name, known)}; known: "
        f"{', '.join(known) or 'none'} (folders in {' and '.join(map(str, places))}); "
        "or give the path of a folder"
    )


def fingerprint(folder: Path) -> str:
    """Checksum of an adapter's two files: what a run with it depends on.

    Raises:
        ModelError: if one is missing.
    """
    for file in (CONFIG, WEIGHTS):
        if not (folder / file).is_file():
            raise ModelError(f"adapter {folder}: {file} is missing")
    both = sha256_of(folder / CONFIG) + sha256_of(folder / WEIGHTS)
    return hashlib.sha256(both.encode()).hexdigest()


def merge(model: Any, folder: Path, names: Sequence[str]) -> Any:
    """The model with the adapter in its weights.

    Args:
        model: a `transformers` model with plain weights, which is changed.
        folder: the adapter.
        names: what the model is called; the adapter must be for one of them.

    Raises:
        ModelError: if the adapter is damaged or not for this model.
    """
    _check(model, folder, names)
    try:
        from peft import PeftModel, get_peft_model_state_dict
    except ImportError as error:
        raise ModelError(
            f"model.adapter needs the package {error.name}; "
            'install the extra "llm": pip install -e ".[llm]"'
        ) from error
    dtype = next(model.parameters()).dtype
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of is refused below
            adapted = PeftModel.from_pretrained(model, str(folder), is_trainable=False)
            state = get_peft_model_state_dict(adapted, save_embedding_layers=False)
        taken, given = set(state), set(_tensors(folder))
        if taken != given:
            odd = sorted(taken ^ given)[0]
            raise ModelError(
                f"adapter {folder}: {odd} is {'missing' if odd in taken else 'not of this model'}"
            )
        merged = adapted.merge_and_unload(safe_merge=True)
    except (ValueError, TypeError, KeyError, RuntimeError, OSError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise ModelError(f"adapter {folder}: cannot be merged: {lines[0]}") from error
    return merged.to(dtype).eval()


def _check(model: Any, folder: Path, names: Sequence[str]) -> None:
    fingerprint(folder)
    config = _config(folder)
    if config.get("peft_type") != "LORA":
        raise ModelError(
            f"adapter {folder}: its peft_type is {config.get('peft_type')!r}; only LORA adapters "
            "can be merged into the weights"
        )
    base = config.get("base_model_name_or_path")
    if base and not any(_same(base, name) for name in names):
        raise ModelError(
            f"adapter {folder}: it was trained for {base!r}, not for {names[0]!r}; "
            "choose the model that it is for"
        )
    _check_shapes(model, folder, _tensors(folder))


def _same(one: str, other: str) -> bool:
    """Names of one model: of the hub with or without the owner, or folders of the same name."""
    return (
        one.rstrip("/").rsplit("/", 1)[-1].lower() == other.rstrip("/").rsplit("/", 1)[-1].lower()
    )


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG).read_text())
    except (OSError, ValueError) as error:
        raise ModelError(f"adapter {folder}: {CONFIG} is damaged: {error}") from error
    if not isinstance(config, dict):
        raise ModelError(f"adapter {folder}: {CONFIG} is damaged: expected an object")
    return config


def _tensors(folder: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of what the weights' file holds."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / WEIGHTS, "pt") as file:
            return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(f"adapter {folder}: {WEIGHTS} is damaged: {error}") from error


def _check_shapes(model: Any, folder: Path, tensors: Mapping[str, tuple[int, ...]]) -> None:
    """Holds the factors of linear layers against the layers; peft itself checks what else is."""
    layers = dict(model.named_modules())
    if not tensors:
        raise ModelError(f"adapter {folder}: {WEIGHTS} holds nothing")
    for key, shape in tensors.items():
        ending = next((e for e in _FACTORS if key.endswith(e)), None)
        if ending is None:
            continue
        path = key.removeprefix("base_model.model.").removesuffix(ending)
        weight = getattr(layers.get(path), "weight", None)
        if weight is None:
            raise ModelError(f"adapter {folder}: the model has no layer {path!r}")
        side = 1 if ending == ".lora_A.weight" else 0
        if len(shape) != 2 or shape[side] != weight.shape[side]:
            raise ModelError(
                f"adapter {folder}: {path} has weights {tuple(weight.shape)} in this model, which "
                f"a factor {shape} does not fit; the adapter is for a model of another size"
            )
