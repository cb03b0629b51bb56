"""Sampler processes of this machine: started and ended as the work and its devices ask for.

A rule decides (`elm.dispatch.scaling.SamplerRule`); each decision becomes a notice with the figures
that it rests on.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from elm.dispatch.gpus import Gpu, GpuError, gpu_readings
from elm.dispatch.scaling import Reading, SamplerRule
from elm.sampler.hub import Hub

PERIOD = 1.0  # seconds between two looks at processes
GPU_PERIOD = 5.0  # and at devices, which takes a process of its own
SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds before one that ended is started again
STEADY_SECONDS = 60.0  # a life this long ends the growth of the pause
EXIT_SECONDS = 5.0  # to leave by itself when the run closes


def sampler_command() -> list[str]:
    """How to start a sampler with this interpreter."""
    return [sys.executable, "-m", "elm.sampler"]


class _Child:
    """One process."""

    def __init__(self, command: Sequence[str], number: int, device: int | None, log: Path) -> None:
        self.life = f"{os.getpid()}.{number}.{secrets.token_hex(8)}"
        self.name = f"local-{number}"
        self.device, self.log = device, log
        self.released = False
        self.started = time.monotonic()
        words = [*command, "--life", self.life, "--name", self.name, "--parent", str(os.getpid())]
        environment = dict(os.environ)
        if device is not None:
            environment["CUDA_VISIBLE_DEVICES"] = str(device)
        with log.open("wb") as printout:
            self.process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=printout,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,  # Ctrl-C is for the run only
            )

    def how_it_ended(self) -> str:
        """Its status and the last line that it printed."""
        status = self.process.returncode
        end = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"ended with {end}" + (f": {lines[-1].strip()[:300]}" if lines else "")


class Crew:
    """Keeps as many sampler processes as its rule wants, in a thread of its own.

    Args:
        hub: of the run; the processes reach it at `address`.
        rule: how many there are to be, the run's own process included where that makes parts.
        here: whether it does.
        address: the hub's socket file.
        folder: for the processes' printouts.
        gpus: reads the devices of this machine.
    """

    def __init__(
        self,
        hub: Hub,
        rule: SamplerRule,
        *,
        here: bool,
        address: str,
        folder: Path,
        command: Sequence[str] | None = None,
        gpus: Callable[[], list[Gpu]] = gpu_readings,
    ) -> None:
        self._hub, self._rule, self._here = hub, rule, here
        self._folder, self._gpus = folder, gpus
        self._command = [*(command or sampler_command()), "--connect", address]
        self._children: list[_Child] = []
        self._number = 0
        self._devices: list[Gpu] = []
        self._look_again = float("-inf")
        self._due = float("-inf")  # before that none is started again
        self._pause = SHORTEST_PAUSE
        self._trouble = ""
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="crew", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def close(self) -> None:
        """Waits until all processes have left by themselves, and kills those that take too long.

        To be called when the hub has said goodbye to them.
        """
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join()
        end = time.monotonic() + EXIT_SECONDS
        for child in self._children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.0, end - time.monotonic()))
            if child.process.poll() is None:
                child.process.kill()
                child.process.wait()
        self._children.clear()

    def _run(self) -> None:
        while not self._closing.wait(PERIOD if self._children or self._here else 0.0):
            try:
                self._tend(time.monotonic())
            except OSError as error:  # no process can be started, or no log be written
                self._complain(f"no sampler can be started here: {error}")
                self._due = time.monotonic() + LONGEST_PAUSE
                self._closing.wait(PERIOD)

    def _tend(self, now: float) -> None:
        self._reap(now)
        if now >= self._look_again:
            self._look_again = now + GPU_PERIOD
            self._devices = self._read_devices()
        reading = self._reading()
        decision = self._rule.observe(now, reading)
        if decision is not None:
            self._hub.tell(decision.reason)
        working = [child for child in self._children if not child.released]
        wanted = self._rule.target - self._here
        if len(working) < wanted and now >= self._due:
            place = self._rule.device(reading)
            device = None if place is None else self._devices[place].index
            self._number += 1
            log = self._folder / f"sampler-{self._number}.log"
            child = _Child(self._command, self._number, device, log)
            self._children.append(child)
            where = "" if device is None else f" on device {device}"
            self._hub.tell(f"sampler {child.name} is started{where}, process {child.process.pid}")
        elif len(working) > wanted:
            working[-1].released = True
            with self._hub.changed:
                self._hub.desk.release(working[-1].life)

    def _reap(self, now: float) -> None:
        for child in list(self._children):
            if child.process.poll() is None:
                continue
            self._children.remove(child)
            with self._hub.changed:
                self._hub.desk.vanished(child.life, "its process has ended")
            if child.released:
                continue
            self._hub.tell(f"sampler {child.name} {child.how_it_ended()}")
            if now - child.started >= STEADY_SECONDS:
                self._pause = SHORTEST_PAUSE
            self._due = now + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def _reading(self) -> Reading:
        with self._hub.changed:
            desk = self._hub.desk
            own = {child.life for child in self._children}
            if self._here:
                own.add(desk.resident)
            up = [s for s in desk.status() if s["life"] in own and s["state"] == "ready"]
            return Reading(
                prompts=desk.queued,
                samplers=len(up),
                generating=sum(s["making"] > 0 for s in up),
                gpu_free=tuple(gpu.free_bytes for gpu in self._devices),
                gpu_busy=tuple(gpu.busy for gpu in self._devices),
            )

    def _read_devices(self) -> list[Gpu]:
        """Those that this process may use."""
        try:
            found = self._gpus()
        except GpuError as error:
            self._complain(f"no more samplers are started: {error}")
            return []
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        if visible is None:
            return found
        words = [word.strip() for word in visible.split(",") if word.strip()]
        if not all(word.lstrip("-").isdecimal() for word in words):
            self._complain(
                f"no more samplers are started: CUDA_VISIBLE_DEVICES={visible} does not name "
                "devices by number"
            )
            return []
        return [gpu for gpu in found if str(gpu.index) in words]

    def _complain(self, line: str) -> None:
        if line != self._trouble:
            self._trouble = line
            self._hub.tell(line)
