"""What a person at a terminal sees of an error: one line, and an exit code that is not 0."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from elm.config import ConfigError
from elm.dispatch.base import FleetError
from elm.folder import FolderError
from elm.journal import JournalError
from elm.models.base import ModelError
from elm.pipeline import RunError
from environments.construct import suggestion

EXPECTED = (ConfigError, FleetError, FolderError, JournalError, ModelError, RunError)


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Ends the process with one line on stderr for every error that a user can cause.

    Exit codes: 2 for a configuration that is wrong, 1 for what went wrong later, 130 for a second
    Ctrl-C, 70 for a defect of the program, which keeps its traceback.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # otherwise Hydra ends the process by itself, with a page
    warnings.simplefilter("ignore", SyntaxWarning)  # of generated code, by the hundred
    try:
        yield
    except EXPECTED as error:
        _end(str(error), 2 if isinstance(error, ConfigError) else 1)
    except KeyboardInterrupt:
        _end("stopped at once; continue with resume=true", 130)
    except Exception as error:
        if type(error).__module__.startswith(("hydra.", "omegaconf.")):
            _end(explain_hydra(error), 2)
        traceback.print_exc()
        _end(f"a defect of this program: {type(error).__name__}: {error}", 70)


def explain_hydra(error: Exception) -> str:
    """Hydra's and OmegaConf's messages in one line that starts with the key."""
    text = str(error)
    choice = re.search(
        r"Could not find '(\w+)/(.+?)'\s+Available options in '.+?':\s((?:.|\n)+)", text
    )
    if choice:
        group, name, listed = choice.groups()
        known = re.findall(r"^\t(\S+)$", listed, re.M)
        return f"{group}: no {name!r}{suggestion(name, known)} (known: {', '.join(known)})"
    key = re.search(r"Could not override '(.+?)'", text)
    if key:
        return (
            f"{key[1]}: no such setting{suggestion(key[1], _known_keys())} "
            "(python run_elm.py --cfg job lists them all)"
        )
    missing = "Missing mandatory value" in text and re.search(r"full_key: (\S+)", text)
    if missing:
        return f"{missing[1]}: this setting is needed, for instance {missing[1]}=..."
    line = " ".join(part.strip() for part in text.splitlines() if part.strip())
    line = line.partition(" See https://")[0]
    override = getattr(error, "override", None)
    if override is not None:
        return f"{override}: not of the form key=value ({line.removesuffix('.')})"
    return line


def _known_keys() -> list[str]:
    """Dotted names of all settings, under the groups that the command line chose."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    home = Path(sys.argv[0]).resolve().parent / "configs"
    groups = [path.name for path in home.iterdir() if path.is_dir()]
    chosen = [word for word in sys.argv[1:] if word.partition("=")[0] in groups]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(home), version_base="1.3"):
        tree = OmegaConf.to_container(compose("config", chosen))

    def walk(node: object, prefix: str) -> Iterator[str]:
        if isinstance(node, dict):
            for key, value in node.items():
                yield f"{prefix}{key}"
                yield from walk(value, f"{prefix}{key}.")

    return [*groups, *walk(tree, "")]


def _end(message: str, code: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: a model may be generating in its thread, and the interpreter must neither wait
    # for it nor tear torch down under it. All that must be closed was closed on the way here.
    os._exit(code)
