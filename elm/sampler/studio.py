"""All who make a run's parts: threads of its own process, ranks, and processes that join."""

from __future__ import annotations

import os
import queue
import secrets
import shlex
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from elm.dispatch.guard import Guard
from elm.dispatch.network import numeric, reachable
from elm.dispatch.scaling import GIB, SamplerRule
from elm.sampler.base import MadePart, Part
from elm.sampler.crew import Crew
from elm.sampler.desk import Desk, Finished, Hand
from elm.sampler.hub import Hub
from elm.sampler.job import own_version
from elm.sampler.local import make
from elm.sampler.meeting import Meeting, Place
from elm.sampler.messages import Job, Welcome, encode, without_artifact
from elm.sampler.rank import Rank, SamplerError
from elm.sampler.settings import SamplerSettings
from elm.variation.base import Operator
from sandbox.keys import KeyPair, KeyTrouble, keep, public_keys

MEETING_SECONDS = 30.0  # for torch to be loaded, at the end of a very short run
_LONGEST_SOCKET_PATH = 100  # bytes; the kernel allows 107


class Studio:
    """Makes parts here and elsewhere. Implements `elm.sampler.base.Samplers`.

    Args:
        settings: checked.
        operator: of this process; only its lanes touch it.
        lanes: parts that are made here at one time.
        clock: the run's, in seconds.
        job: what samplers elsewhere build.
        rank: of this process, which is rank 0; None where there is no launcher.
        parts: that can be under way at one time; 0: unknown.

    Attributes:
        announce: takes the line with which others join, which a person should see at once.

    Raises:
        SamplerError: if nobody could reach this run where its settings say so.
    """

    def __init__(
        self,
        settings: SamplerSettings,
        operator: Operator,
        lanes: int,
        clock: Callable[[], float],
        job: Job,
        rank: Rank | None = None,
        parts: int = 0,
        announce: Callable[[str], None] | None = None,
    ) -> None:
        self._settings, self._operator, self._clock = settings, operator, clock
        self._rank = rank
        self._name = "local" if rank is None else "rank 0"
        self._handed: queue.SimpleQueue[Hand | None] = queue.SimpleQueue()
        self._unreadable = ""
        self._meeting: Meeting | None = None
        self._met: threading.Thread | None = None
        desk = Desk(
            secrets.token_hex(8),
            job,
            elm=own_version(),
            heartbeat=settings.heartbeat,
            patience=settings.patience,
            parts=parts,
        )
        self._lanes = lanes if settings.here else 0
        if self._lanes:
            desk.seat(self._name, self._lanes)
        folder, local = None, ""
        if settings.most > 1:
            folder = _private_folder()
            local = f"ipc://{folder / 'samplers'}"
        self._folder = folder
        self._keys = self._own_keys()
        guard = self._guard()
        hand = self._handed.put
        self._hub = Hub(desk, local=local, guard=guard, listen=self._door(), hand=hand)
        self._crew = None if folder is None else self._new_crew(local, folder)
        try:
            self._start(job, announce or _to_stderr)
        except BaseException:
            self.close()
            raise

    # The contract -----------------------------------------------------------------------------

    def submit(self, parts: Sequence[Part]) -> None:
        """Queues parts. They are begun in this order."""
        self._hub.submit(parts)

    def made(self) -> list[MadePart]:
        """What is ready, in any order; each part exactly once."""
        return [self._read(finished) for finished in self._hub.collect()]

    def withdraw(self) -> list[Part]:
        """Takes back parts that nobody has begun, in their order."""
        return self._hub.withdraw()

    def notices(self) -> list[str]:
        """What happened since the last call, one line each."""
        return self._hub.notices()

    def close(self) -> None:
        """Lets everybody go. Parts that are not ready are forgotten."""
        for _ in range(self._lanes):
            self._handed.put(None)
        self._hub.close()
        if self._crew is not None:
            self._crew.close()
        if self._met is not None:
            self._met.join(MEETING_SECONDS)
            if self._meeting is not None:
                self._meeting.end()  # for ranks that come too late
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    # What else can be seen --------------------------------------------------------------------

    @property
    def listening(self) -> str | None:
        """Where samplers can join by themselves, as they would write it."""
        return reachable(self._hub.bound) if self._settings.listen is not None else None

    @property
    def invitation(self) -> str:
        """The line with which another machine joins."""
        return f"samplers join with: python -m elm.sampler --join {self.listening} " + shlex.quote(
            f"--run-key={self._keys.public}"
        )

    # Inside -----------------------------------------------------------------------------------

    def _start(self, job: Job, announce: Callable[[str], None]) -> None:
        _check_job(job)
        self._hub.start()
        for lane in range(self._lanes):
            threading.Thread(target=self._work, name=f"sampler-{lane}", daemon=True).start()
        if self._crew is not None:
            self._crew.start()
        if self._rank is not None:
            # In a thread, since it loads torch: a run that has no model of torch begins at once.
            self._met = threading.Thread(target=self._meet, args=(self._rank,), name="meeting")
            self._met.start()
        if self._settings.listen is not None:
            self._hub.tell(self.invitation)
            announce(self.invitation)

    def _new_crew(self, address: str, folder: Path) -> Crew:
        settings = self._settings
        rule = SamplerRule(
            1,
            settings.most,
            period=settings.period,
            queue_factor=settings.queue_factor,
            min_free_gpu_bytes=int(settings.gpu_free_gb * GIB),
        )
        return Crew(self._hub, rule, here=bool(self._lanes), address=address, folder=folder)

    def _read(self, finished: Finished) -> MadePart:
        part, error = finished.part, finished.error
        ended = self._clock() if finished.ended is None else finished.ended
        return MadePart(
            part.block,
            part.index,
            finished.proposals,
            ended - finished.seconds,
            ended,
            finished.sampler,
            SamplerError(error) if isinstance(error, str) else error,
        )

    def _work(self) -> None:
        """One lane of this process."""
        while True:
            hand = self._handed.get()
            if hand is None:
                return
            made = make(self._operator, _bare(hand.part), self._clock, self._name)
            seconds = made.ended - made.started
            self._hub.finish(
                hand.lease,
                Finished(
                    hand.part, made.proposals, seconds, self._name, made.error, ended=made.ended
                ),
            )

    # Inside: who may join ---------------------------------------------------------------------

    def _own_keys(self) -> KeyPair:
        settings = self._settings
        try:
            if settings.enrolled is not None:
                list(public_keys(Path(settings.enrolled).expanduser()))
            if settings.keys is not None:
                return keep(Path(settings.keys).expanduser(), "run")
        except KeyTrouble as error:
            raise SamplerError(f"samplers.keys, samplers.enrolled: {error}") from None
        return KeyPair.new()

    def _guard(self) -> Guard | None:
        if self._settings.listen is None and self._rank is None:
            return None
        return Guard(self._keys, tell=self._tell_of_strangers, look=self._known, whom="sampler")

    def _known(self) -> list[str]:
        """Keys that may join, as of now; from the thread that answers for the socket."""
        found: list[str] = []
        try:
            if self._settings.enrolled is not None:
                found += public_keys(Path(self._settings.enrolled).expanduser())
            if self._meeting is not None:
                found += self._meeting.keys()
        except (KeyTrouble, SamplerError) as error:
            if str(error) != self._unreadable:
                self._unreadable = str(error)
                self._hub.tell(f"nobody new can join: {error}")
        return found

    def _tell_of_strangers(self, line: str) -> None:
        hint = ""
        if self._settings.enrolled is not None:
            hint = f"; to let it in, put its public key as NAME.key into {self._settings.enrolled}"
        self._hub.tell(line + hint, "strangers")

    def _door(self) -> str | None:
        """Where to listen, as ZeroMQ binds it."""
        door = self._settings.door
        if door is not None:
            try:
                return numeric(door)
            except OSError as error:
                raise SamplerError(f"samplers.listen: {door}: {error.strerror}") from None
        if self._rank is None:
            return None
        return "tcp://127.0.0.1:*" if self._rank.single_machine else "tcp://*:*"

    def _meet(self, rank: Rank) -> None:
        """Tells the other ranks where this one is."""
        host, _, port = self._hub.bound.removeprefix("tcp://").rpartition(":")
        # Everywhere on this machine is where the launcher has been reached as well.
        anywhere = host in ("*", "0.0.0.0")
        try:
            meeting = Meeting(rank)
            self._meeting = meeting  # first: whoever is told will knock
            meeting.publish(Place("" if anywhere else host, int(port), self._keys.public))
        except SamplerError as error:
            self._hub.tell(f"no other rank can join: {error}")


def _bare(part: Part) -> Part:
    """The part as others would get it, so that it does not matter who makes it."""
    orders = tuple(
        order.__class__(
            tuple(without_artifact(elite) for elite in order.parents),
            order.seed,
            order.operator,
            order.model,
            order.crowd,
        )
        for order in part.orders
    )
    return Part(part.block, part.index, orders)


def _check_job(job: Job) -> None:
    """Raises SamplerError where the settings cannot be said to others."""
    try:
        encode(Welcome("", job, 1.0, 1.0))
    except ValueError as error:
        raise SamplerError(
            f"samplers elsewhere cannot be told this run's settings, which must be plain data: "
            f"{error}"
        ) from None


def _private_folder() -> Path:
    """A new folder that only this user can enter, with a name short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="elm-"))
    if len(os.fsencode(folder)) + len("/samplers") > _LONGEST_SOCKET_PATH:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="elm-", dir="/tmp"))
    return folder


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
