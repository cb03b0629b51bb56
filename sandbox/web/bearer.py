"""The token that opens the HTTP server: kept in a file, compared without telling by its time."""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path

LEAST_CHARACTERS = 16


class TokenTrouble(ValueError):
    """The token file cannot be used; one line that names it and says what to do."""


def keep_token(path: Path) -> tuple[str, bool]:
    """The token in a file, and whether it was made just now, as it is where there is no file.

    Raises:
        TokenTrouble: if the file cannot be read or written, others may read it, or it holds none.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return _read(path), False
        token = secrets.token_urlsafe(32)
        with os.fdopen(file, "w", encoding="ascii") as writing:
            writing.write(token + "\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise TokenTrouble(f"--token-file {path}: {reason}") from None
    return token, True


def _read(path: Path) -> str:
    if path.stat().st_mode & 0o077:
        raise TokenTrouble(f"--token-file {path}: others may read this token; chmod 600 it")
    token = path.read_text(encoding="utf-8").strip()
    if len(token) < LEAST_CHARACTERS or not (token.isascii() and token.isprintable()):
        raise TokenTrouble(
            f"--token-file {path}: holds no token of at least {LEAST_CHARACTERS} printable "
            "characters; remove the file, and a fresh one is made"
        )
    return token


def problem(header: str | None, token: str) -> str:
    """What is wrong with an Authorization header, in one line; "" if nothing is."""
    if not header:
        return "a bearer token is missing: send the header 'Authorization: Bearer TOKEN'"
    scheme, _, given = header.partition(" ")
    if scheme.lower() != "bearer":
        return "the Authorization header is not of the scheme Bearer"
    # Headers arrive as Latin-1; whatever is in them becomes some bytes.
    if not hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode()):
        return "the bearer token is wrong: it is in the server's token file"
    return ""
