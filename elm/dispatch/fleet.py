"""The fleet of a run: slots of this machine, servers it was told of, and servers that join.

Local is a fleet of one: wherever a sandbox is, it speaks to the run in the same way.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from elm.dispatch import settings
from elm.dispatch.autoscale import Autoscale, NodeSettings
from elm.dispatch.base import FleetError
from elm.dispatch.broker import Broker
from elm.dispatch.client import ServerClient
from elm.dispatch.guard import Guard
from elm.dispatch.network import Doors, numeric, reachable
from elm.dispatch.process import LocalNode, WorkerProcess, worker_command
from elm.dispatch.router import Router
from elm.dispatch.servers import DETACH_SECONDS, Attachment
from sandbox.keys import KeyPair, KeyTrouble, keep, public_keys
from sandbox.protocol import MAX_MESSAGE_BYTES, Bundle, Evaluation, Parcel, Task, encode

LONGEST_SOCKET_PATH = 100  # bytes; the kernel allows 107
OTHERS_SECONDS = 2.0  # for the other slots, once the first is up
WAITING_SECONDS = 60.0  # between two lines that say what is waited for


def available_cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Fleet:
    """Executes on this machine and on others. Implements `elm.dispatch.base.Dispatcher`.

    Args:
        slots: programs executed at one time on this machine; 0: none here; "auto": one for each
            available core to begin with, then as many as the work and the machine's load ask for.
        slots_low: fewest of them where they are "auto".
        slots_high: most of them; None: one for each available core.
        level: the jail that slots must have, here and elsewhere; "auto" takes the strongest that
            works here, and L2 and above elsewhere.
        servers: URLs of sandbox servers that are to work for the run.
        token_file: holds the token that they ask for.
        listen: tcp://host:port where servers may join by themselves; None: nowhere.
        keys: folder that keeps the run's own key pair; None: a fresh one for each life.
        nodes: how more machines are had while the run goes on; they join at `listen`.
        enrolled: folder with the public keys of servers that may join; looked at again whenever
            somebody unknown asks to be let in.
        max_tries: losses after which a program counts as poison.
        heartbeat: seconds between two signs of life.
        patience: seconds of silence after which a worker is replaced.
        start_seconds: how long the first start may take.
        prefetch: tasks that the worker here holds beyond its slots; None leaves it to the worker.

    Attributes:
        announce: takes a line that a person should see even before the run has begun; stderr by
            default. May be changed before `start`, as may `command`, the local worker's.

    Raises:
        ValueError: for a setting that cannot be, in one line that names it.
    """

    def __init__(
        self,
        slots: int | str = "auto",
        level: str = "auto",
        *,
        slots_low: int = 1,
        slots_high: int | None = None,
        servers: Sequence[str] = (),
        token_file: str | None = None,
        listen: str | None = None,
        keys: str | None = None,
        enrolled: str | None = None,
        nodes: NodeSettings | None = None,
        max_tries: int = 3,
        heartbeat: float = 1.0,
        patience: float = 10.0,
        start_seconds: float = 120.0,
        prefetch: int | None = None,
    ) -> None:
        rule = None
        if slots == "auto":
            rule = settings.slot_rule(slots_low, slots_high, available_cores())
        self._here = rule.target if rule is not None else settings.slot_count(slots)
        self._autoscale = Autoscale(rule)
        self._nodes = nodes
        settings.check_level(level)
        settings.check_max_tries(max_tries)
        settings.check_times(heartbeat, patience, start_seconds)
        self._urls = settings.server_urls(servers)
        self._token = settings.read_token(token_file, self._urls)
        self._listen = settings.listen_address(listen, keys, enrolled)
        settings.check_sources(self._here, self._urls, self._listen)
        if nodes is not None and self._listen is None:
            raise ValueError("dispatch.nodes needs dispatch.listen, where its nodes join the run")
        self._enrolled = Path(enrolled).expanduser() if enrolled is not None else None
        self._own_keys = _own_keys(keys)
        self._check_enrolled()
        self._least_level = "L2" if level == "auto" else level
        self._max_tries, self._heartbeat, self._patience = max_tries, heartbeat, patience
        self._start_seconds = start_seconds
        self._options = ["--slots", str(self._here), "--level", level, "--node", "local"]
        if rule is not None:
            self._options += ["--most-slots", str(rule.high)]
        if prefetch is not None:
            self._options += ["--prefetch", str(prefetch)]
        self.command = worker_command()
        self.announce: Callable[[str], None] = _to_stderr
        self._router: Router | None = None
        self._node: LocalNode | None = None
        self._attachments: list[Attachment] = []
        self._folder: Path | None = None
        self._door = ""  # where servers can join, as it was bound
        self._unreadable = ""  # what was wrong with the folder of enrolled keys at last

    # The contract -----------------------------------------------------------------------------

    @property
    def level(self) -> str:
        """The weakest jail among the slots; "" before the first is up."""
        return self._router.broker.level if self._router is not None else ""

    @property
    def slots(self) -> int:
        """How many tasks can run at one time right now."""
        if self._router is None:
            return 0
        with self._router.changed:
            return self._router.broker.slots

    def start(self, bundle: Bundle) -> None:
        """Brings up all that belongs to the fleet; waits until its first slot is up anywhere.

        Where servers can only join by themselves, it waits for the first without limit.

        Raises:
            FleetError: if no slot comes up, with the reasons in one line.
        """
        if self._router is not None:
            raise FleetError("this fleet was started already; close it and make another")
        size = len(encode(Parcel(bundle)))
        if size > MAX_MESSAGE_BYTES:
            raise FleetError(
                f"environment {bundle.environment!r} is {size} bytes, but a sandbox takes "
                f"{MAX_MESSAGE_BYTES}: make its settings or modules smaller"
            )
        try:
            router = self._open(bundle)
            self._await_slots(router)
        except BaseException:
            self.close()
            raise

    def submit(self, tasks: Sequence[Task]) -> None:
        """Queues tasks. Returns at once."""
        self._running().submit(tasks)

    def results(self, timeout: float) -> list[Evaluation]:
        """Evaluations that arrived since the last call; waits up to `timeout` seconds."""
        return self._running().results(timeout)

    def acknowledge(self, candidates: Iterable[int]) -> None:
        """Says that these evaluations are safe on disk."""
        self._running().acknowledge(candidates)

    def notices(self) -> list[str]:
        """What happened since the last call, one line each."""
        return self._running().notices()

    def close(self) -> None:
        """Lets all servers go, ends what runs here. Tasks without a result are forgotten."""
        for attachment in self._attachments:
            attachment.stop()
        if self._router is not None:
            self._router.close()
        self._autoscale.close()
        deadline = time.monotonic() + DETACH_SECONDS
        if self._node is not None:
            self._node.process.close()
        for attachment in self._attachments:
            if attachment.ident is not None:
                attachment.join(max(0.0, deadline - time.monotonic()))
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None

    # What else can be seen and done -----------------------------------------------------------

    @property
    def worker_pid(self) -> int | None:
        """Of the worker process on this machine, while there is one."""
        return self._node.process.pid if self._node is not None else None

    @property
    def listening(self) -> str | None:
        """Where servers can join by themselves, as they would write it."""
        return reachable(self._door) if self._door else None

    @property
    def public_key(self) -> str:
        """By which servers recognise this run."""
        return self._own_keys.public

    def status(self) -> dict[str, Any]:
        """Workers with their processes, servers, queue and counters, as plain data."""
        return self._running().status() | {
            "servers": [
                {"url": each.url, "worker": each.worker, "problem": each.problem}
                for each in self._attachments
            ]
        }

    def release(self, node: str) -> bool:
        """Lets a node finish what it executes and go for good; False if there is none of it.

        What it has not begun comes back at once. A node that joins by itself may join again.
        """
        router = self._running()
        with router.changed:
            worker = router.broker.worker_of(node)
            if worker is None:
                return False
            for attachment in self._attachments:
                if attachment.worker == worker:
                    attachment.stop(detach=False)
            router.broker.drain(worker)
        return True

    # Inside: coming up ------------------------------------------------------------------------

    def _open(self, bundle: Bundle) -> Router:
        address = "inproc://nobody"
        if self._here:
            self._folder = _private_folder()
            address = f"ipc://{self._folder / 'fleet'}"
            self._node = self._local_node(address)
        broker = Broker(
            secrets.token_hex(8),
            bundle,
            max_tries=self._max_tries,
            heartbeat=self._heartbeat,
            patience=self._patience,
            least_level=self._least_level,
        )
        broker.absent = lambda: "; ".join(self._problems())
        guard = None
        if self._urls or self._listen is not None:
            guard = Guard(self._own_keys, tell=self._tell_of_strangers, look=self._enrolled_keys)
        router = self._router = Router(broker, address, self._tend, guard=guard)
        router.start()
        if self._listen is not None:
            self._door = self._open_door(router, self._listen)
        if guard is not None:
            doors = Doors(router.bind, [self._door] if self._door else [])
            self._attachments = [self._attachment(url, doors, guard) for url in self._urls]
        if self._door:
            self._say(
                f"sandboxes join with: python -m sandbox serve --join {self.listening} "
                + shlex.quote(f"--run-key={self.public_key}")
            )
        for attachment in self._attachments:
            attachment.start()
        if self._nodes is not None and self.listening is not None:
            nodes = self._nodes.scaler(self.listening, self.public_key)
            with router.changed:
                self._autoscale.nodes = nodes
        return router

    def _local_node(self, address: str) -> LocalNode:
        assert self._folder is not None
        command = [*self.command, "--connect", address, "--scratch", str(self._folder)]
        process = WorkerProcess([*command, *self._options], self._folder / "worker.log")
        return LocalNode(process, self._patience, self._start_seconds)

    def _open_door(self, router: Router, listen: str) -> str:
        """Listens for servers that join by themselves; the address with its port."""
        try:
            return router.bind(numeric(listen))
        except OSError as error:
            raise FleetError(f"dispatch.listen: {listen}: {error.strerror}") from None
        except FleetError as error:
            raise FleetError(f"dispatch.listen: {error}") from None

    def _attachment(self, url: str, doors: Doors, guard: Guard) -> Attachment:
        assert self._router is not None
        return Attachment(
            ServerClient(url, self._token),
            self._router.broker.run,
            doors,
            guard,
            least_level=self._least_level,
            patience=self._patience,
            knows=self._knows,
            tell=lambda line: self._tell(line, url),
        )

    def _await_slots(self, router: Router) -> None:
        """Raises FleetError where no slot comes up."""
        broker, begun = router.broker, time.monotonic()
        only_joining = not self._here and not self._attachments

        def settled() -> bool:
            router.check()
            return bool(broker.slots or self._hopeless(broker))

        with router.changed:
            while not broker.slots:
                left = begun + self._start_seconds - time.monotonic()
                router.changed.wait_for(settled, WAITING_SECONDS if only_joining else left)
                if broker.slots:
                    break
                if self._hopeless(broker) or (not only_joining and left <= 0):
                    raise FleetError(self._failure(broker))
                if only_joining:
                    self._say(f"no sandbox has joined at {self.listening} yet; still waiting")
            # The others are about to follow; a run should not begin with one slot of many.
            router.changed.wait_for(lambda: self._all_up(broker), OTHERS_SECONDS)

    def _all_up(self, broker: Broker) -> bool:
        if not all(each.joined or each.tried for each in self._attachments):
            return False
        expected = sum(each.joined for each in self._attachments) + bool(self._here)
        return broker.ready >= expected and broker.whole

    def _hopeless(self, broker: Broker) -> bool:
        """Whether everybody who can come has come, and nobody can start a slot."""
        if self._listen is not None or not all(each.joined for each in self._attachments):
            return False
        if self._node is None:
            return broker.refusal is not None
        process = self._node.process
        if process.exited and not self._attachments:
            return True
        return broker.refusal is not None and (process.exited or broker.knows(process.name))

    def _failure(self, broker: Broker) -> str:
        """Why there is no slot, in one line."""
        late = f"nothing came up within {self._start_seconds:g} s"
        if not self._attachments and self._listen is None:
            return f"no sandbox can be started: {broker.refusal or self._last_words() or late}"
        reasons = self._problems() + [
            f"sandbox {worker['node']} cannot start: {worker['detail'] or 'it does not say why'}"
            for worker in broker.status(0.0)["workers"]
        ]
        if words := self._last_words():
            reasons.append(f"the worker here ended: {words}")
        if self._listen is not None:
            reasons.append(f"nobody has joined at {self.listening}")
        return f"no sandbox can be started within {self._start_seconds:g} s: {'; '.join(reasons)}"

    def _last_words(self) -> str:
        if self._node is None or not self._node.process.exited:
            return ""
        return self._node.process.last_words() or "its worker process ended"

    # Inside: going on -------------------------------------------------------------------------

    def _running(self) -> Router:
        if self._router is None:
            raise FleetError("this fleet was not started")
        return self._router

    def _tend(self, now: float) -> None:
        """Called by the dispatcher's thread in every round, with its lock held."""
        if self._node is not None and self._router is not None:
            self._node.tend(self._router.broker, now)
        if self._router is not None:
            local = self._node.process.name if self._node is not None else ""
            self._autoscale.tend(self._router.broker, local, now)

    def _problems(self) -> list[str]:
        return [f"server {each.url} {each.problem}" for each in self._attachments if each.problem]

    def _knows(self, worker: str) -> bool:
        router = self._running()
        with router.changed:
            return router.broker.knows(worker)

    def _tell(self, line: str, source: str = "") -> None:
        """A notice, from any thread but the dispatcher's."""
        router = self._running()
        with router.changed:
            router.broker.tell(line, source)

    def _say(self, line: str) -> None:
        """The same, and at once to whoever waits for the start."""
        self.announce(line)
        self._tell(line)

    # Inside: who may join ---------------------------------------------------------------------

    def _check_enrolled(self) -> None:
        if self._enrolled is not None:
            try:
                list(public_keys(self._enrolled))
            except KeyTrouble as error:
                raise ValueError(f"dispatch.enrolled: {error}") from None

    def _enrolled_keys(self) -> list[str]:
        """Keys of the folder as it is now; from the thread that answers for the socket."""
        if self._enrolled is None:
            return []
        try:
            keys = list(public_keys(self._enrolled))
        except KeyTrouble as error:
            if str(error) != self._unreadable:
                self._unreadable = str(error)
                self._tell(f"nobody new can join: dispatch.enrolled: {error}")
            return []
        self._unreadable = ""
        return keys

    def _tell_of_strangers(self, line: str) -> None:
        hint = ""
        if self._enrolled is not None:
            hint = f"; to let it in, put its public key as NAME.key into {self._enrolled}"
        self._tell(line + hint, "strangers")


def _own_keys(folder: str | None) -> KeyPair:
    if folder is None:
        return KeyPair.new()
    try:
        return keep(Path(folder).expanduser(), "run")
    except KeyTrouble as error:
        raise ValueError(f"dispatch.keys: {error}") from None


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _private_folder() -> Path:
    """A new folder that only this user can enter, with a name short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="elm-"))
    if len(os.fsencode(folder)) + len("/fleet") > LONGEST_SOCKET_PATH:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="elm-", dir="/tmp"))
    return folder
