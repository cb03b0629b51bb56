"""When to have one slot, node or sampler more or fewer. Readings and time in, decisions out.

No clock, no socket and no process is touched here: whoever calls measures, and acts.

One step at a time, and only for a reason that has lasted a whole period, after the scaling of
DistributedFunSearch, with three things added that keep a steady load from moving the number up and
down for ever. A unit is given up only if one fewer would have carried all that was seen. A step up
that the load forced back at once is not tried again before the load is lower than it was at that
time. And whenever a step turns out to have been in vain, the next of its kind takes twice as long
to decide.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import msgspec

SLOT_PERIOD = 5.0  # seconds: a slot is there within one
NODE_PERIOD = 120.0  # seconds: a node, or a language model, takes its time
GIB = 1024**3
LOAD_MARGIN = 0.1  # by which the load must have fallen before a step that failed is tried again
MOST_REGRETS = 6  # how often the waiting doubles: 64 periods at most
UNITS = ("slot", "node")


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured at one moment. Samplers and the rest need not fill in the other's part."""

    queued: int = 0  # tasks that wait
    running: int = 0  # tasks that are being executed
    slots: int = 0  # that are up
    nodes: int = 0  # that are up
    # Processors in demand for each there is: 0 to 1 as a share of time in use; above 1 where
    # those who wait are counted too, as in the load average.
    load: float = 0.0
    prompts: int = 0  # that wait for a sampler
    samplers: int = 0  # that are up
    generating: int = 0  # samplers that have work
    gpu_free: tuple[int, ...] = ()  # bytes, by device
    gpu_busy: tuple[float, ...] = ()  # share of time in use, 0 to 1, by device

    def __post_init__(self) -> None:
        if len(self.gpu_free) != len(self.gpu_busy):
            raise ValueError(
                f"gpu_free has {len(self.gpu_free)} devices, gpu_busy {len(self.gpu_busy)}"
            )


class Decision(msgspec.Struct, frozen=True):
    """How many there are to be from now on."""

    target: int
    was: int
    reason: str  # one line with the figures it rests on, for the journal and for a person


class _Wish(NamedTuple):
    step: int  # +1, -1, or 0 for none
    why: str = ""
    overload: bool = False  # less is wanted because of the load


class _Rule(ABC):
    """A wish that lasts a whole period becomes a decision, one step at a time.

    Args:
        unit: what is counted, for reasons and errors.
        low: fewest units.
        high: most units.
        start: units at the beginning; None for `low`.
        period: seconds for which a wish has to last.
        cooldown: least seconds between two decisions; None for `period`.
    """

    def __init__(
        self,
        unit: str,
        low: int,
        high: int,
        start: int | None,
        period: float,
        cooldown: float | None,
    ) -> None:
        for name, value in (("low", low), ("high", high)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ValueError(f"{name} must be a whole number, not below 0, got {value}")
        if high < max(1, low):
            raise ValueError(f"high must be at least 1 and at least low ({low}), got {high}")
        if start is not None and not low <= start <= high:
            raise ValueError(f"start must be within {low} and {high}, got {start}")
        _above_zero("period", period)
        if cooldown is not None and not cooldown >= 0:
            raise ValueError(f"cooldown must not be below 0 seconds, got {cooldown}")
        self.unit, self.low, self.high = unit, low, high
        self.target = low if start is None else start
        self.period = period
        self.cooldown = period if cooldown is None else cooldown
        self._step = 0  # the present wish
        self._since = 0.0  # when it began
        self._seen: float | None = None
        self._decided: float | None = None
        self._last = _Wish(0)  # that became a decision
        self._grown_at = 0.0  # load at the last step up
        self._failed_at: float | None = None  # load at a step up that the load forced back
        self._regrets = 0  # steps in vain, one after another

    def observe(self, now: float, reading: Reading) -> Decision | None:
        """What follows from one more reading; None where all stays as it is.

        To be called several times in a period: all that is known of it are the readings. After a
        gap longer than a period the waiting begins again.

        Args:
            now: seconds, ascending.
        """
        wish = self._wish(reading)
        if not self.low <= self.target + wish.step <= self.high:
            wish = _Wish(0)
        broken = self._seen is not None and now - self._seen > self.period
        self._seen = now
        if wish.step != self._step or broken:
            self._step, self._since = wish.step, now
        lasted = now - self._since
        if not wish.step or lasted < self._patience(wish):
            return None
        if self._decided is not None and now - self._decided < self.cooldown:
            return None
        self._learn(now, wish, reading.load)
        was, self.target = self.target, self.target + wish.step
        self._step, self._since, self._decided, self._last = 0, now, now, wish
        return Decision(
            self.target, was, f"{self.unit}s {was} -> {self.target}: {wish.why}, for {lasted:.3g} s"
        )

    def _patience(self, wish: _Wish) -> float:
        """Seconds for which a wish has to last."""
        # An overload is relieved, and a queue is served, at once; what may wait has to wait.
        urgent = wish.overload or (wish.step > 0 and not self._last.overload)
        return self.period * (1 if urgent else 2**self._regrets)

    def _learn(self, now: float, wish: _Wish, load: float) -> None:
        """What a decision says about the one before."""
        if wish.step == self._last.step:
            self._regrets, self._failed_at = 0, None  # things have really changed
        elif self._last.step and (wish.step > 0 or wish.overload):
            self._regrets = min(self._regrets + 1, MOST_REGRETS)
            recent = now - (self._decided or 0.0) <= 2 * self.period + self.cooldown
            if wish.overload and recent:
                self._failed_at = self._grown_at
        if wish.step > 0:
            self._grown_at = load

    @abstractmethod
    def _wish(self, reading: Reading) -> _Wish:
        """What this reading alone asks for."""

    def _may_grow(self, load: float) -> bool:
        """Whether nothing is known against one more at this load."""
        return self._failed_at is None or load < self._failed_at - LOAD_MARGIN

    def _can_spare(self, busy: int, up: int) -> bool:
        """Whether one unit fewer could do what is being done."""
        return self.target > 0 and busy * self.target <= up * (self.target - 1)


class SlotRule(_Rule):
    """How many slots, on one machine, or nodes with slots there are to be.

    Raises:
        ValueError: for a setting that cannot be, in one line that names it.
    """

    def __init__(
        self,
        low: int = 1,
        high: int = 1,
        *,
        unit: str = "slot",
        start: int | None = None,
        period: float | None = None,
        cooldown: float | None = None,
        queue_factor: float = 2.0,
        load_high: float = 0.99,
        load_max: float = 1.5,
    ) -> None:
        """Args:
        low: fewest of them.
        high: most of them.
        unit: "slot" or "node".
        start: how many there are at the beginning; None for `low`.
        period: seconds for which a reason has to last; None for 5 with slots, 120 with nodes.
        cooldown: least seconds between two decisions; None for `period`.
        queue_factor: one more from this many waiting tasks for each slot that is up.
        load_high: one more only where the load is below.
        load_max: one fewer where the load is above. The default takes a load average for each
            processor: as a mere share of time in use, a load says 1 both where all processors
            are used and where many times as many are asked for.
        """
        if unit not in UNITS:
            raise ValueError(f"unit must be one of {', '.join(UNITS)}, got {unit!r}")
        if period is None:
            period = SLOT_PERIOD if unit == "slot" else NODE_PERIOD
        super().__init__(unit, low, high, start, period, cooldown)
        for name, value in (("queue_factor", queue_factor), ("load_high", load_high)):
            _above_zero(name, value)
        if not load_max >= load_high:
            raise ValueError(f"load_max must be at least load_high ({load_high}), got {load_max}")
        self.queue_factor, self.load_high, self.load_max = queue_factor, load_high, load_max

    def _wish(self, reading: Reading) -> _Wish:
        queued, slots, load = reading.queued, reading.slots, reading.load
        facts = f"{queued} tasks queued and {reading.running} running on {slots} slots"
        if load > self.load_max and self.unit == "slot":
            # A node fewer would not relieve the others.
            return _Wish(-1, f"load {load:.2f} above {self.load_max:g}, {facts}", overload=True)
        up = slots if self.unit == "slot" else reading.nodes
        if up >= self.target and queued > self.queue_factor * max(1, slots):
            # Until what was asked for has come, nobody knows whether it is enough.
            if load < self.load_high and self._may_grow(load):
                return _Wish(1, f"{facts}, load {load:.2f} below {self.load_high:g}")
        elif queued == 0 and self._can_spare(reading.running, slots):
            return _Wish(-1, f"{facts}, load {load:.2f}")
        return _Wish(0)


class SamplerRule(_Rule):
    """How many processes with a language model there are to be.

    Raises:
        ValueError: for a setting that cannot be, in one line that names it.
    """

    def __init__(
        self,
        low: int = 1,
        high: int = 1,
        *,
        start: int | None = None,
        period: float = NODE_PERIOD,
        cooldown: float | None = None,
        queue_factor: float = 50.0,
        min_free_gpu_bytes: int = 20 * GIB,
        max_gpu_busy: float = 0.5,
    ) -> None:
        """Args:
        low: fewest of them.
        high: most of them.
        start: how many there are at the beginning; None for `low`.
        period: seconds for which a reason has to last.
        cooldown: least seconds between two decisions; None for `period`.
        queue_factor: one more from this many waiting prompts for each sampler that is up.
        min_free_gpu_bytes: what a device must have free to take one more: weights and cache.
        max_gpu_busy: share of its time, 0 to 1, below which a device takes one more.
        """
        super().__init__("sampler", low, high, start, period, cooldown)
        _above_zero("queue_factor", queue_factor)
        _above_zero("min_free_gpu_bytes", min_free_gpu_bytes)
        if not 0 < max_gpu_busy <= 1:
            raise ValueError(f"max_gpu_busy must be above 0 and at most 1, got {max_gpu_busy}")
        self.queue_factor = queue_factor
        self.min_free_gpu_bytes, self.max_gpu_busy = min_free_gpu_bytes, max_gpu_busy

    def device(self, reading: Reading) -> int | None:
        """The device that should take one more: of those with room, the one with the most."""
        free, busy = reading.gpu_free, reading.gpu_busy
        fit = [
            index
            for index in range(len(free))
            if free[index] >= self.min_free_gpu_bytes and busy[index] < self.max_gpu_busy
        ]
        return max(fit, key=lambda index: (free[index], -index), default=None)

    def _wish(self, reading: Reading) -> _Wish:
        prompts, samplers = reading.prompts, reading.samplers
        facts = f"{prompts} prompts queued, {reading.generating} of {samplers} samplers at work"
        if samplers >= self.target and prompts > self.queue_factor * max(1, samplers):
            device = self.device(reading)
            if device is not None:
                free, busy = reading.gpu_free[device] / GIB, reading.gpu_busy[device]
                return _Wish(1, f"{facts}, device {device} {free:.1f} GiB free and {busy:.0%} busy")
        elif prompts == 0 and self._can_spare(reading.generating, samplers):
            return _Wish(-1, facts)
        return _Wish(0)


def _above_zero(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name} must be above 0, got {value}")
