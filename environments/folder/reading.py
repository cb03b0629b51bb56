"""Reads a folder from disk: which file is the evaluator, and which files evolve."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath

import msgspec

MAX_BYTES = 8_000_000
MAX_FILES = 2_000
SKIPPED = ("__pycache__", "node_modules", "openevolve_output", "venv", "env")
INITIAL = ("initial_program.py", "initial.py", "init_program.py", "initial_program", "initial")
MAIN = ("main.py", "program.py", "initial_program.py", "initial.py", "__init__.py")
EVALUATOR = ("evaluator.py", "evaluate.py", "score.py")
CONFIG = ("config.yaml", "config.yml")


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What lies in a folder, by paths with slashes."""

    home: Path
    files: dict[str, bytes]  # without the program's
    place: str  # the folder of the program's files, "" for the folder itself
    program: dict[str, str]  # by name within that; the entry first
    evaluator: str
    config: str | None

    def text(self, name: str) -> str:
        """A file that is Python or YAML.

        Raises:
            ValueError: if it is not UTF-8.
        """
        return decoded(self.home, name, self.files[name])


def decoded(home: Path, name: str, data: bytes) -> str:
    """UTF-8 as text, a line end as one character.

    Raises:
        ValueError: naming the file.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"path: {home / name}: not UTF-8 ({error.reason})") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read(
    path: str,
    *,
    initial: str | None = None,
    evaluator: str | None = None,
    config: str | None = None,
    program: Sequence[str] = (),
    without: Sequence[str] = (),
) -> Contents:
    """A folder of at most 8 MB, and what each of its files is for.

    Args:
        path: the folder.
        initial: the first program: a file, or a folder of which all Python files evolve.
        evaluator: its file.
        config: its YAML file, "" for none.
        program: files of the first program instead of `initial`, the entry first.
        without: patterns of files to leave out.

    Raises:
        ValueError: in one line that names the setting.
    """
    home = Path(path).expanduser()
    if not home.is_dir():
        kind = "no folder" if home.exists() else "no such folder"
        raise ValueError(f"path: {kind}: {path}")
    files = _files(home, without)
    judge = _chosen("evaluator", evaluator, EVALUATOR, files, home)
    _python("evaluator", judge)
    recipe = _config(config, files, home)
    place, names = _program(initial, program, files, home)
    inside = [str(PurePosixPath(place, name)) for name in names]
    if judge in inside:
        raise ValueError(f"evaluator: {judge} is a file of the program")
    texts = {
        name: decoded(home, file, files[file]) for name, file in zip(names, inside, strict=True)
    }
    return Contents(
        home=home,
        files={name: data for name, data in files.items() if name not in inside},
        place=place,
        program=texts,
        evaluator=judge,
        config=recipe,
    )


def _files(home: Path, without: Sequence[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    total = 0
    for file in _walk(home):
        name = file.relative_to(home).as_posix()
        if any(fnmatch.fnmatch(name, pattern) for pattern in without):
            continue
        total += file.stat().st_size
        if total > MAX_BYTES or len(found) >= MAX_FILES:
            sizes = sorted(((len(data), name) for name, data in found.items()), reverse=True)
            sizes = sorted([*sizes, (file.stat().st_size, name)], reverse=True)[:3]
            shown = ", ".join(f"{name} {size / 1e6:.1f} MB" for size, name in sizes)
            raise ValueError(
                f"path: {home} holds over {MAX_BYTES / 1e6:g} MB or {MAX_FILES} files, and all "
                f"would go to each sandbox; the largest so far: {shown}; leave out what the "
                'evaluator does not read: environment.without=["*.png", "data/*"]'
            )
        try:
            found[name] = file.read_bytes()
        except OSError as error:
            raise ValueError(f"path: {file}: {error.strerror}") from None
    return found


def _walk(home: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(home):
        folders[:] = sorted(
            name
            for name in folders
            if name not in SKIPPED
            and not name.startswith(".")
            and not (Path(folder) / name / "pyvenv.cfg").exists()
        )
        for name in sorted(files):
            file = Path(folder) / name
            if not name.startswith(".") and not name.endswith(".pyc") and file.is_file():
                yield file


def _chosen(
    key: str, given: str | None, usual: Sequence[str], files: Collection[str], home: Path
) -> str:
    if given is not None:
        name = _inside(key, given)
        if name not in files:
            raise ValueError(f"{key}: {home} holds no file {given!r}")
        return name
    for name in usual:
        if name in files:
            return name
    raise ValueError(
        f"path: {home} holds no {' or '.join(usual)}; name the file with environment.{key}=..."
    )


def _python(key: str, name: str) -> None:
    if not name.endswith(".py"):
        raise ValueError(f"{key}: only Python files can be this, got {name!r}")


def _config(given: str | None, files: Collection[str], home: Path) -> str | None:
    if given:
        return _chosen("config", given, (), files, home)
    if given == "":
        return None
    return next((name for name in CONFIG if name in files), None)


def _inside(key: str, name: str) -> str:
    """A path within the folder, with slashes.

    Raises:
        ValueError: if it leads out of it.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError(f"{key}: expected the name of a file in the folder, got {name!r}")
    return str(path)


def _program(
    initial: str | None, program: Sequence[str], files: Collection[str], home: Path
) -> tuple[str, list[str]]:
    """The folder of the program, and its files in it, the entry first."""
    if program:
        if initial is not None:
            raise ValueError("program: give this or environment.initial, not both")
        names = [_chosen("program", name, (), files, home) for name in program]
        if len(set(names)) < len(names):
            raise ValueError("program: names a file twice")
        for name in names:
            _python("program", name)
        return "", names
    folders = {str(parent) for name in files for parent in PurePosixPath(name).parents}
    choices = (_inside("initial", initial),) if initial is not None else INITIAL
    chosen = next((name for name in choices if name in files or name in folders), None)
    if chosen is None:
        if initial is not None:
            raise ValueError(f"initial: {home} holds no {initial!r}")
        raise ValueError(
            f"path: {home} holds no initial_program.py; name the first program with "
            "environment.initial=..."
        )
    if chosen in files:
        _python("initial", chosen)
        place = str(PurePosixPath(chosen).parent)
        return ("" if place == "." else place), [PurePosixPath(chosen).name]
    below = sorted(
        name[len(chosen) + 1 :]
        for name in files
        if name.startswith(f"{chosen}/") and name.endswith(".py")
    )
    entry = below[0] if len(below) == 1 else next((name for name in MAIN if name in below), None)
    if entry is None:
        raise ValueError(
            f"initial: {home / chosen} has none of {', '.join(MAIN)}; say which file comes first "
            "with environment.program=[...]"
        )
    return chosen, [entry, *(name for name in below if name != entry)]
