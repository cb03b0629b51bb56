"""A sandbox server that the run has been told of: attached, watched, attached again."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable

from elm.dispatch.base import FleetError
from elm.dispatch.client import ServerClient, ServerTrouble
from elm.dispatch.guard import Guard
from elm.dispatch.network import Doors

SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds before a server is tried again
STEADY_SECONDS = 30.0  # in the fleet end the growth of the pause
DETACH_SECONDS = 2.0
MOST_REASONS = 10  # that are told of one outage
_LOOK_SECONDS = 0.2  # between two looks at whether its worker is there


class Attachment(threading.Thread):
    """Keeps one server in the fleet, as long as the run goes on.

    Args:
        client: to reach the server.
        run: under which name the run is attached.
        doors: where the run listens.
        guard: lets the server's worker in.
        least_level: the weakest jail that is taken.
        patience: seconds for a worker to come that the server has promised.
        knows: whether a worker of this name belongs to the fleet.
        tell: takes one line for a person.
    """

    def __init__(
        self,
        client: ServerClient,
        run: str,
        doors: Doors,
        guard: Guard,
        *,
        least_level: str,
        patience: float,
        knows: Callable[[str], bool],
        tell: Callable[[str], None],
    ) -> None:
        super().__init__(name=f"server {client.url}", daemon=True)
        self.url = client.url
        self.worker = ""  # that the server has promised
        self.joined = False  # its worker is in the fleet
        self.tried = False  # at least once, whatever came of it
        self.problem = "has not answered yet"  # why it is not; "" while it is
        self._client, self._run, self._doors, self._guard = client, run, doors, guard
        self._least_level, self._patience = least_level, patience
        self._knows, self._tell = knows, tell
        self._stopping = threading.Event()
        self._told: set[str] = set()  # reasons of the present outage
        self._detach = True
        self._asked = False  # the server may hold something of this run
        self._steady = False

    def run(self) -> None:
        """Life of the attachment."""
        pause = SHORTEST_PAUSE
        while not self._stopping.is_set():
            self._steady = False
            try:
                self._attach()
                self._watch()
            except ServerTrouble as trouble:
                self._report(str(trouble))
            if self._steady:
                pause = SHORTEST_PAUSE
            self._stopping.wait(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, LONGEST_PAUSE)
        if self._asked and self._detach:
            with contextlib.suppress(ServerTrouble):  # it forgets a silent run by itself
                self._client.detach(self._run, DETACH_SECONDS)

    def stop(self, *, detach: bool = True) -> None:
        """Tries no more. Returns at once; the thread ends when the server has been told.

        Args:
            detach: tell it; otherwise its worker is left to go by itself.
        """
        self._detach &= detach
        self._stopping.set()

    # Inside -----------------------------------------------------------------------------------

    def _attach(self) -> None:
        """Asks the server to work for this run. The key first: its worker may be quick."""
        status = self._client.status()
        if status.level < self._least_level:
            raise ServerTrouble(
                f"offers level {status.level or '?'}, but this run takes {self._least_level} and "
                "above (dispatch.level)"
            )
        if status.draining:
            raise ServerTrouble("is draining")
        try:
            address = self._doors.towards(self._client.host)
        except (OSError, FleetError) as error:
            raise ServerTrouble(f"finds no way to this run: {error}") from None
        self._guard.allow(status.public_key)
        self._asked = True
        attached = self._client.attach(self._run, address, self._guard.own.public)
        if attached.public_key != status.public_key:
            raise ServerTrouble("answers with two different public keys")
        self.worker, self._address = attached.worker, address

    def _watch(self) -> None:
        """Returns when the run is over, or its worker has gone: of that the run is told anyway.

        Raises:
            ServerTrouble: if its worker does not come.
        """
        since, begun = None, time.monotonic()
        while not self._stopping.wait(_LOOK_SECONDS):
            now = time.monotonic()
            if self._knows(self.worker):
                if since is None:
                    since = now
                    self._arrived()
                self._steady = now - since > STEADY_SECONDS
            elif since is not None:
                self.joined, self.problem = False, "is no longer in the fleet"
                return
            elif now - begun > self._patience:
                raise ServerTrouble(
                    f"has accepted this run, but does not come to {self._address}: can it reach "
                    "that address?"
                )

    def _arrived(self) -> None:
        self.joined, self.tried, self.problem = True, True, ""
        if self._told:
            self._tell(f"server {self.url} is back")
            self._told.clear()

    def _report(self, problem: str) -> None:
        self.joined, self.tried, self.problem = False, True, problem
        if problem not in self._told and len(self._told) < MOST_REASONS:
            self._told.add(problem)
            self._tell(
                f"server {self.url} {problem}; it is tried again, and the run goes on with the "
                "rest of its fleet"
            )
