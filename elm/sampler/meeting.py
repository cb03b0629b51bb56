"""How the ranks of a launcher find rank 0, and how it knows them: through the launcher's store.

The store is the one that torch's launchers keep for process groups. Public keys are all that is
put there; whoever can write to it can have a rank let in, as it can with any process group.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec

from elm.sampler.rank import Rank, SamplerError
from sandbox.keys import KeyTrouble, checked

STORE_SECONDS = 120.0  # until the store answers
POLL_SECONDS = 0.1


class Place(msgspec.Struct, frozen=True):
    """Where rank 0 listens. `host` "" stands for the launcher's own address of it."""

    host: str
    port: int
    key: str  # rank 0's public one
    over: bool = False  # the run has ended: nobody listens any more


class Meeting:
    """One rank's view of the store.

    Raises:
        SamplerError: if there is no torch, or the store cannot be reached.
    """

    def __init__(self, rank: Rank) -> None:
        try:
            from torch.distributed import TCPStore
        except ImportError as error:
            raise SamplerError(
                f'ranks of a launcher need the package {error.name}: pip install -e ".[llm]"'
            ) from None
        self._rank = rank
        self._prefix = f"elm/{rank.nonce}"
        hosts = rank.number == 0 and not rank.agent_store
        try:
            self._store: Any = TCPStore(
                rank.master,
                rank.port,
                is_master=hosts,
                wait_for_workers=False,
                multi_tenant=not rank.agent_store,
                timeout=timedelta(seconds=STORE_SECONDS),
            )
        except RuntimeError as error:
            raise SamplerError(
                f"the launcher's store at {rank.master}:{rank.port} cannot be reached: "
                f"{_first_line(error)}"
            ) from None

    def publish(self, place: Place) -> None:
        """Says where rank 0 is."""
        self._write("0", msgspec.json.encode(place))

    def end(self) -> None:
        """Says that the run is over. A launcher that has gone need not hear it."""
        with contextlib.suppress(SamplerError):
            self.publish(Place("", 0, "", over=True))

    @property
    def over(self) -> bool:
        """Whether rank 0 has said that the run is over."""
        try:
            place = self._place()
        except SamplerError:
            return False
        return place is not None and place.over

    def keys(self) -> list[str]:
        """Public keys of the ranks that have come so far. May be called by any thread.

        Raises:
            SamplerError: if the store has gone.
        """
        found = []
        for number in range(1, self._rank.world):
            text = self._read(f"{self._prefix}/{number}")
            if text is not None:
                try:
                    found.append(checked(text.decode("ascii", "replace")))
                except KeyTrouble:
                    continue  # it is no key of a rank of ours
        return found

    def enter(self, public: str, look: Callable[[], None] = lambda: None) -> Place:
        """Says this rank's public key, and waits until rank 0 has said where it is.

        Args:
            public: the key.
            look: called again and again meanwhile; what it raises ends the waiting.

        Raises:
            SamplerError: if the store goes away meanwhile.
        """
        self._write(str(self._rank.number), public.encode())
        while True:
            place = self._place()
            if place is not None:
                return msgspec.structs.replace(place, host=place.host or self._rank.master)
            look()
            time.sleep(POLL_SECONDS)

    def _place(self) -> Place | None:
        text = self._read(f"{self._prefix}/0")
        return None if text is None else msgspec.json.decode(text, type=Place)

    def _write(self, key: str, value: bytes) -> None:
        try:
            self._store.set(f"{self._prefix}/{key}", value)
        except RuntimeError as error:
            raise self._gone(error) from None

    def _read(self, key: str) -> bytes | None:
        try:
            return bytes(self._store.get(key)) if self._store.check([key]) else None
        except RuntimeError as error:  # of which torch's own are all kinds
            raise self._gone(error) from None

    def _gone(self, error: Exception) -> SamplerError:
        return SamplerError(
            f"rank {self._rank.number}: the launcher's store has gone ({_first_line(error)}); "
            "so have the other ranks, most likely"
        )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else "no word"
