"""Builds what a name and settings ask for, and says clearly what is wrong with them.

Imports nothing else of ours: the search builds all its parts with it, a sandbox environments.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec


def suggestion(word: object, known: Iterable[str]) -> str:
    """ ", did you mean 'x'?" for a near miss, else nothing."""
    near = difflib.get_close_matches(str(word), list(known), n=1)
    return f", did you mean {near[0]!r}?" if near else ""


def construct(
    section: str,
    settings: Mapping[str, Any],
    choices: Mapping[str, str | Callable[..., Any]],
    *context: Any,
    **defaults: Any,
) -> Any:
    """Calls the choice that `settings["name"]` names with the other settings as keywords.

    Each setting is held against the annotation of the parameter it goes to, limits that are
    written with `msgspec.Meta` included.

    Args:
        section: the section of the configuration, for messages.
        settings: "name", and keyword arguments of what it names.
        choices: by name what to call, or "module:attribute" to be imported once it is chosen.
        context: positional arguments that no setting can give.
        defaults: keyword arguments for settings that are absent or null.

    Raises:
        ValueError: for an unknown name or setting or a wrong value, in one line with its key.
    """
    values = dict(settings)
    name = values.pop("name", None)
    if name not in choices:
        raise ValueError(
            f"{section}.name: unknown {name!r}, known: {', '.join(sorted(choices))}"
            f"{suggestion(name, choices)}"
        )
    choice = choices[name]
    if isinstance(choice, str):
        module, _, attribute = choice.partition(":")
        choice = typing.cast(
            Callable[..., Any], getattr(importlib.import_module(module), attribute)
        )
    target: Any = choice.__init__ if inspect.isclass(choice) else choice
    hints = typing.get_type_hints(target, include_extras=True)
    parameters = list(inspect.signature(choice).parameters.values())
    known = [p.name for p in parameters[len(context) :] if p.kind is not p.VAR_KEYWORD]
    for key, value in defaults.items():
        if values.get(key) is None:
            values[key] = value
    for key, value in values.items():
        if key not in known:
            raise ValueError(
                f"{section}.{key}: unknown setting of {name!r}, "
                f"known: {', '.join(known) or 'none'}{suggestion(key, known)}"
            )
        if key not in defaults or key in settings:
            values[key] = _convert(f"{section}.{key}", value, hints.get(key, Any))
    missing = [
        p.name
        for p in parameters[len(context) :]
        if p.default is p.empty
        and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        and p.name not in values
    ]
    if missing:
        raise ValueError(f"{section}.{missing[0]}: {name!r} needs this setting, got none")
    try:
        return choice(*context, **values)
    except ValueError as error:
        if str(error).startswith(f"{section}."):
            raise
        names_key = re.split(r"[.:]", str(error), maxsplit=1)[0] in known
        raise ValueError(f"{section}{'.' if names_key else ': '}{error}") from error


def _convert(key: str, value: Any, hint: Any) -> Any:
    try:
        return msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        known: list[str] = []
        if typing.get_origin(hint) is typing.Literal:
            known = [str(word) for word in typing.get_args(hint)]
            expected = f"expected one of {', '.join(known)}"
        else:
            expected = re.sub(r", got `\w+`| - at `\$\S*`", "", str(error))
            expected = expected.replace("Expected", "expected")
        raise ValueError(f"{key}: {expected}, got {value!r}{suggestion(value, known)}") from None
