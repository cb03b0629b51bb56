"""Prices of well-known models, from a snapshot that says its date and source."""

from __future__ import annotations

from pathlib import Path

import msgspec

from elm.models.endpoint.settings import Prices

SNAPSHOT = Path(__file__).with_name("prices.json")


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """US dollars for a million tokens, by the name of the model."""

    date: str
    source: str
    models: dict[str, Prices]


def snapshot() -> Snapshot:
    """The prices that come with the project."""
    return msgspec.json.decode(SNAPSHOT.read_bytes(), type=Snapshot)


def look_up(name: str) -> Prices | None:
    """Of a model by its exact name, a vendor's prefix ("openai/") left out; None if unknown.

    Names are not guessed at: what differs in its date may differ in its price.
    """
    known = snapshot().models
    return known.get(name) or known.get(name.rpartition("/")[2])
