"""CURVE key pairs of runs and sandbox servers: made, kept in files, read.

Imports nothing else of ours: both sides use it. A pair is two files, as `zmq.auth` writes them:
`NAME.key` holds the public half, `NAME.key_secret` both, readable by its owner only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import zmq
import zmq.auth
from zmq.utils import z85

KEY_CHARACTERS = 40


class KeyTrouble(ValueError):
    """A key or its file cannot be used; one line that names it and says what to do."""


@dataclass(frozen=True)
class KeyPair:
    """The two halves, as 40 characters of Z85. The secret one never appears in a text."""

    public: str
    secret: str = field(repr=False)

    @classmethod
    def new(cls) -> KeyPair:
        """A fresh pair that lives in memory only."""
        public, secret = zmq.curve_keypair()
        return cls(public.decode(), secret.decode())


def keep(folder: Path, name: str) -> KeyPair:
    """The pair of this name in a folder; made there if there is none.

    Raises:
        KeyTrouble: if the files cannot be read or written, or others may read the secret.
    """
    secret_file = folder / f"{name}.key_secret"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not secret_file.exists():
            before = os.umask(0o077)
            try:
                zmq.auth.create_certificates(folder, name)
            finally:
                os.umask(before)
            (folder / f"{name}.key").chmod(0o644)
        if secret_file.stat().st_mode & 0o077:
            raise KeyTrouble(f"{secret_file}: others may read this secret key; chmod 600 it")
        public, secret = zmq.auth.load_certificate(secret_file)
    except (OSError, ValueError) as error:
        if isinstance(error, KeyTrouble):
            raise
        raise KeyTrouble(f"{secret_file}: no usable key pair: {error}") from None
    if secret is None:
        raise KeyTrouble(f"{secret_file}: holds no secret key; remove it, and a new one is made")
    return KeyPair(public.decode(), secret.decode())


def public_key(text: str) -> str:
    """A public key from its 40 characters, or from the path of a `.key` file.

    Raises:
        KeyTrouble: if it is neither.
    """
    if len(text) == KEY_CHARACTERS and not Path(text).exists():
        return checked(text)
    try:
        public, _ = zmq.auth.load_certificate(text)
    except (OSError, ValueError) as error:
        raise KeyTrouble(
            f"{text!r} is neither a public key of {KEY_CHARACTERS} characters nor a file that "
            f"holds one: {error}"
        ) from None
    return public.decode()


def checked(key: str) -> str:
    """The key itself, if it is one.

    Raises:
        KeyTrouble: if these are not 40 characters of Z85.
    """
    try:
        if len(key) == KEY_CHARACTERS and len(z85.decode(key)) == 32:
            return key
    except (ValueError, KeyError, UnicodeEncodeError):
        pass  # told below, as for a wrong length
    raise KeyTrouble(f"{key[:60]!r} is no CURVE key: expected {KEY_CHARACTERS} characters of Z85")


def public_keys(folder: Path) -> Iterator[str]:
    """The public keys of all `.key` files in a folder: those who are enrolled.

    Raises:
        KeyTrouble: if a file holds none, or the folder cannot be read.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix == ".key")
    except OSError as error:
        raise KeyTrouble(f"{folder}: {error.strerror}") from None
    for path in files:
        yield public_key(str(path))
