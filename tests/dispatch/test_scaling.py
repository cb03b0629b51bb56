"""When to have more and when fewer: slots, nodes and samplers, and a plant that follows."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elm.dispatch.gpus import Gpu, GpuError, gpu_readings
from elm.dispatch.scaling import GIB, Decision, Reading, SamplerRule, SlotRule

TICK = 1.0
PERIOD = 5.0


def rule(**changes: Any) -> SlotRule:
    return SlotRule(**{"low": 1, "high": 8, "period": PERIOD} | changes)


def feed(subject: SlotRule | SamplerRule, readings: list[Reading]) -> list[tuple[float, Decision]]:
    """One reading a tick; the decisions with their times."""
    taken = [
        (tick * TICK, subject.observe(tick * TICK, each)) for tick, each in enumerate(readings)
    ]
    return [(now, decision) for now, decision in taken if decision is not None]


class Plant:
    """Tasks that arrive, slots that serve one each at a time, and the load they cause.

    Slots follow the target one tick later, as real ones do. Time of one task: `service` ticks.
    """

    def __init__(self, subject: SlotRule, cores: int, service: int, background: float = 0.0):
        self.rule, self.cores, self.service = subject, cores, service
        self.background = background  # processors that others use
        self.slots, self.queued, self.now = subject.target, 0, 0.0
        self.left: deque[int] = deque()  # ticks that each running task still needs
        self.decisions: list[tuple[float, Decision]] = []

    def tick(self, arrivals: int) -> None:
        self.left = deque(each - 1 for each in self.left if each > 1)
        self.queued += arrivals
        while self.queued and len(self.left) < self.slots:
            self.queued -= 1
            self.left.append(self.service)
        reading = Reading(
            queued=self.queued,
            running=len(self.left),
            slots=self.slots,
            load=(len(self.left) + self.background) / self.cores,
        )
        decision = self.rule.observe(self.now, reading)
        self.now += TICK
        if decision is not None:
            self.decisions.append((self.now, decision))
        self.slots = self.rule.target

    def run(self, ticks: int, arrivals: float) -> None:
        """So many arrivals a tick, evenly; with fractions."""
        due = 0.0
        for _ in range(ticks):
            due += arrivals
            self.tick(int(due))
            due -= int(due)


readings = st.builds(
    Reading,
    queued=st.integers(0, 100),
    running=st.integers(0, 10),
    slots=st.integers(0, 10),
    nodes=st.integers(0, 10),
    load=st.floats(0, 3),
    prompts=st.integers(0, 1000),
    samplers=st.integers(0, 10),
    generating=st.integers(0, 10),
    gpu_free=st.tuples(st.integers(0, 80 * GIB), st.integers(0, 80 * GIB)),
    gpu_busy=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
# Readings that stay for a while, so that something is decided.
courses = st.lists(st.tuples(readings, st.integers(1, 25)), max_size=12).map(
    lambda runs: [each for each, count in runs for _ in range(count)]
)


@st.composite
def rules(draw: st.DrawFn) -> SlotRule | SamplerRule:
    low = draw(st.integers(0, 4))
    high = draw(st.integers(max(1, low), 9))
    common = {
        "start": draw(st.integers(low, high)),
        "period": draw(st.floats(1, 12)),
        "cooldown": draw(st.none() | st.floats(0, 20)),
    }
    if draw(st.booleans()):
        return SamplerRule(low, high, queue_factor=10, **common)
    return SlotRule(low, high, unit=draw(st.sampled_from(["slot", "node"])), **common)


@given(rules(), courses)
def test_decisions_keep_limits_steps_and_cool_down(
    subject: SlotRule | SamplerRule, course: list[Reading]
) -> None:
    before, last = subject.target, None
    for now, decision in feed(subject, course):
        assert decision.was == before
        assert abs(decision.target - decision.was) == 1
        assert subject.low <= decision.target <= subject.high
        assert last is None or now - last >= subject.cooldown
        before, last = decision.target, now
    assert subject.target == before


@given(courses)
def test_a_reason_holds_the_figures_it_rests_on(course: list[Reading]) -> None:
    subject = rule()
    for now, decision in feed(subject, course):
        seen = course[int(now / TICK)]
        for part in (
            f"slots {decision.was} -> {decision.target}: ",
            f"{seen.queued} tasks queued",
            f"{seen.running} running on {seen.slots} slots",
            f"load {seen.load:.2f}",
            "for ",
        ):
            assert part in decision.reason
        assert "\n" not in decision.reason


@given(st.integers(1, 4), st.integers(1, 60))
def test_a_wave_faster_than_the_period_changes_nothing(half: int, waves: int) -> None:
    deep = Reading(queued=100, running=4, slots=4, load=0.5)
    idle = Reading(queued=0, running=0, slots=4, load=0.0)
    assert feed(rule(start=4), ([deep] * half + [idle] * half) * waves) == []


@given(readings, st.integers(0, 200))
def test_a_deeper_queue_never_leads_to_fewer_slots(reading: Reading, more: int) -> None:
    def course(queued: int) -> list[int]:
        subject, targets = rule(start=4), []
        for tick in range(60):
            seen = Reading(
                queued=queued, running=reading.running, slots=subject.target, load=reading.load
            )
            subject.observe(tick * TICK, seen)
            targets.append(subject.target)
        return targets

    few, many = course(reading.queued), course(reading.queued + more)
    assert all(ours <= theirs for ours, theirs in zip(few, many, strict=True))


@settings(max_examples=50, deadline=None)
@given(
    cores=st.integers(1, 12),
    service=st.integers(1, 7),
    # Not nearer to what a number of slots can do than this: a queue that builds up over hours
    # takes hours to come to rest.
    arrivals=st.integers(0, 64).map(lambda sixteenths: sixteenths / 16),
    background=st.floats(0, 3),
    load_high=st.floats(0.3, 1.2),
    gap=st.floats(0, 0.5),
    start=st.integers(1, 8),
)
def test_a_steady_stream_of_tasks_comes_to_rest(
    cores: int,
    service: int,
    arrivals: float,
    background: float,
    load_high: float,
    gap: float,
    start: int,
) -> None:
    subject = rule(start=start, load_high=load_high, load_max=load_high + gap)
    plant = Plant(subject, cores, service, background)
    plant.run(2000, arrivals)
    settled = len(plant.decisions)
    plant.run(1000, arrivals)
    # A queue that was left behind may take long to be worked off; after that there is one more
    # way down, never a way up and down again.
    later = [decision.target - decision.was for _, decision in plant.decisions[settled:]]
    assert all(step < 0 for step in later), plant.decisions


def test_from_one_slot_to_as_many_as_there_are_processors_and_back() -> None:
    plant = Plant(rule(high=16), cores=6, service=3)
    plant.run(200, 4.0)  # 12 processors would be needed
    assert plant.rule.target == 6
    ups = [decision.target for _, decision in plant.decisions]
    assert ups == [2, 3, 4, 5, 6]
    plant.queued = 0  # the run's last block
    plant.run(200, 0.0)
    assert plant.rule.target == 1
    assert [decision.target for _, decision in plant.decisions][5:] == [5, 4, 3, 2, 1]


def test_as_many_slots_as_the_tasks_need_and_no_more() -> None:
    plant = Plant(rule(high=16), cores=16, service=4)
    plant.run(600, 0.8)  # 3.2 slots
    assert plant.rule.target == 4
    assert plant.queued <= 8


def test_slots_give_way_to_others_and_come_back() -> None:
    plant = Plant(rule(high=8), cores=4, service=3)
    plant.run(200, 5.0)
    assert plant.rule.target == 4
    plant.background = 8.0  # somebody else wants the whole machine twice
    plant.run(200, 5.0)
    assert plant.rule.target == 1
    settled = len(plant.decisions)
    plant.run(200, 5.0)
    assert len(plant.decisions) == settled
    plant.background = 0.0
    plant.run(200, 5.0)
    assert plant.rule.target == 4


def test_a_step_that_had_to_be_taken_back_is_not_tried_again_at_the_same_load() -> None:
    plant = Plant(rule(load_high=0.9, load_max=0.95), cores=4, service=3)
    plant.run(1000, 5.0)  # three slots are below, four are above
    assert [decision.target for _, decision in plant.decisions] == [2, 3, 4, 3]


def test_no_more_are_asked_for_before_those_asked_for_have_come() -> None:
    stuck = Reading(queued=1000, running=1, slots=1, load=0.1)
    assert [each.target for _, each in feed(rule(), [stuck] * 100)] == [2]


def test_a_gap_in_the_readings_begins_the_waiting_again() -> None:
    subject, deep = rule(), Reading(queued=100, slots=1, load=0.1)
    assert subject.observe(0.0, deep) is None
    assert subject.observe(600.0, deep) is None
    assert subject.observe(604.9, deep) is None
    assert subject.observe(605.0, deep) is not None


def test_nodes_are_counted_as_nodes_and_take_their_time() -> None:
    subject = SlotRule(0, 3, unit="node")
    assert (subject.period, subject.cooldown) == (120.0, 120.0)
    course = [Reading(queued=50, slots=0, nodes=0)] * 130
    course += [Reading(queued=500, running=16, slots=16, nodes=1, load=0.9)] * 130
    course += [Reading(queued=0, running=15, slots=32, nodes=2, load=0.4)] * 130
    found = feed(subject, course)
    assert [decision.target for _, decision in found] == [1, 2, 1]
    assert found[0][1].reason.startswith("nodes 0 -> 1: 50 tasks queued")


def test_a_sampler_comes_where_a_device_has_room() -> None:
    full = Reading(prompts=900, samplers=1, generating=1, gpu_free=(3 * GIB,), gpu_busy=(0.1,))
    busy = Reading(prompts=900, samplers=1, generating=1, gpu_free=(60 * GIB,), gpu_busy=(0.97,))
    room = Reading(
        prompts=900,
        samplers=1,
        generating=1,
        gpu_free=(3 * GIB, 30 * GIB, 60 * GIB, 70 * GIB),
        gpu_busy=(0.0, 0.0, 0.2, 0.9),
    )
    for nowhere in (full, busy, Reading(prompts=900, samplers=1)):
        assert feed(SamplerRule(1, 4), [nowhere] * 400) == []
    subject = SamplerRule(1, 4)
    ((_, decision),) = feed(subject, [room] * 200)
    assert subject.device(room) == 2
    assert decision.reason == (
        "samplers 1 -> 2: 900 prompts queued, 1 of 1 samplers at work, "
        "device 2 60.0 GiB free and 20% busy, for 120 s"
    )


def test_a_sampler_leaves_when_prompts_run_dry() -> None:
    idle = Reading(prompts=0, samplers=3, generating=1)
    assert [each.target for _, each in feed(SamplerRule(1, 4, start=3), [idle] * 130)] == [2]
    at_work = Reading(prompts=0, samplers=3, generating=3)
    assert feed(SamplerRule(1, 4, start=3), [at_work] * 400) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"low": -1}, "low must be a whole number, not below 0, got -1"),
        ({"high": 0}, "high must be at least 1 and at least low (1), got 0"),
        ({"low": 5, "high": 4}, "high must be at least 1 and at least low (5), got 4"),
        ({"start": 9}, "start must be within 1 and 8, got 9"),
        ({"period": 0}, "period must be above 0, got 0"),
        ({"cooldown": -1}, "cooldown must not be below 0 seconds, got -1"),
        ({"queue_factor": 0}, "queue_factor must be above 0, got 0"),
        ({"load_max": 0.5}, "load_max must be at least load_high (0.99), got 0.5"),
        ({"unit": "cat"}, "unit must be one of slot, node, got 'cat'"),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        rule(**wrong)
    assert str(caught.value) == message


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def install(script: str) -> None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.defpath}")

    return install


def test_devices_are_read(nvidia_smi: Any) -> None:
    nvidia_smi(
        'case "$1" in --query-gpu=index,name,*) ;; *) exit 9;; esac\n'
        "echo '0, NVIDIA H200, 143771, 143161, 0'\n"
        "echo '1, NVIDIA H200, 143771, 71000, 97'\n"
        "echo '2, NVIDIA H200 MIG, [N/A], [N/A], [N/A]'"
    )
    mib = 1024**2
    assert gpu_readings() == [
        Gpu(0, "NVIDIA H200", 143771 * mib, 143161 * mib, 0.0),
        Gpu(1, "NVIDIA H200", 143771 * mib, 71000 * mib, 0.97),
    ]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18",
            "nvidia-smi ended with exit status 18: Failed to initialize NVML",
        ),
        ("echo 'what, is this'", "nvidia-smi printed 'what, is this' where index,name"),
        ("echo '0, H, many, 3, 4'", "nvidia-smi printed '0, H, many, 3, 4' where numbers belong"),
    ],
)
def test_a_broken_driver_is_one_clear_line(nvidia_smi: Any, script: str, message: str) -> None:
    nvidia_smi(script)
    with pytest.raises(GpuError) as caught:
        gpu_readings()
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_no_device_is_no_error(nvidia_smi: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia_smi("echo 'No devices were found'; exit 6")
    assert gpu_readings() == []
    monkeypatch.setenv("PATH", "/nowhere")
    assert gpu_readings() == []
