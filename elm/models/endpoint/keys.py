"""Where an endpoint and its key are found, and how the key is kept out of every text.

The key lives in the environment or in `.env`. It is never put into this process's environment, so
that no process which the run starts can inherit it from there.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from elm.models.base import ModelError
from elm.models.endpoint.settings import KEY

_SHORTEST = 6  # characters of a key that is worth hiding; a dummy such as "none" is a word
_BEARER = re.compile(r"(?i)\b(bearer|api-key:?)\s+[^\s'\",]+")
_MASKED = re.compile(r"\bsk-[\w*.-]{4,}")  # what endpoints repeat of a wrong key


def variable(name: str) -> str:
    """A variable of the environment, else of the file `.env` in the working folder; "" if neither.

    Raises:
        ModelError: if there is such a file and nothing that reads it.
    """
    given = os.environ.get(name, "").strip()
    if given or not Path(".env").is_file():
        return given
    try:
        from dotenv import dotenv_values
    except ImportError:
        raise ModelError(
            f"{name} may be in .env, and reading it needs the package python-dotenv; "
            'install the extra "api": pip install -e ".[api]"'
        ) from None
    try:
        return (dotenv_values(".env", interpolate=False).get(name) or "").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f".env: cannot be read: {type(error).__name__}") from None


class Redactor:
    """Takes keys out of texts that come back. Its own `repr` says nothing."""

    def __init__(self, *secrets: str) -> None:
        long = [secret for secret in secrets if len(secret) >= _SHORTEST]
        self._secrets = [form for secret in long for form in {secret, quote(secret, safe="")}]

    def hide(self, text: str) -> str:
        """The text without the keys themselves; everything else stays."""
        for secret in self._secrets:
            text = text.replace(secret, "[key]")
        return text

    def line(self, text: str, limit: int = 300) -> str:
        """One line for a message: also without what only looks like a key."""
        text = self.hide(" ".join(text.split()))
        text = _BEARER.sub(r"\1 [key]", KEY.sub("[key]", _MASKED.sub("[key]", text)))
        text = "".join(letter if letter.isprintable() else "?" for letter in text)
        return text if len(text) <= limit else text[: limit - 3] + "..."


def address(url: str) -> str:
    """An address without password, query and fragment, for messages."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
