"""Random schedules of loss, delay, crash and return: every part comes home exactly once."""

import pytest
from sampler_simulator import Broken, Simulation

from elm.sampler.desk import Desk, Finished
from elm.sampler.member import Member


@pytest.mark.parametrize("first", range(0, 100, 50))
def test_every_part_comes_home_exactly_once(first):
    for seed in range(first, first + 50):
        try:
            Simulation(seed).run()
        except Broken as error:
            raise AssertionError(f"schedule {seed}: {error}") from error


@pytest.mark.slow
def test_many_more_schedules():
    happened = dict.fromkeys(("runs killed", "samplers killed", "samplers left", "withdrawn"), 0)
    for seed in range(1000, 1400):
        simulation = Simulation(seed)
        simulation.run()
        for what in happened:
            happened[what] += simulation.counts[what]
    assert all(count > 25 for count in happened.values()), happened


def test_a_schedule_is_a_function_of_its_seed():
    first, second = Simulation(11), Simulation(11)
    first.run()
    second.run()
    assert first.collected == second.collected and first.now == second.now
    assert first.desk.counts == second.desk.counts


class TakesWhatIsStale(Desk):
    def _done(self, sampler, done):
        self._finished.append(Finished(self._all[done.proposals[0].detail], done.proposals, 0, ""))
        super()._done(sampler, done)

    def submit(self, parts):
        self._all = getattr(self, "_all", {})
        self._all |= {str(part.orders[0].seed): part for part in parts}
        super().submit(parts)


class ForgetsTheSilent(Desk):
    def _lose(self, sampler, reason):
        sampler.leases.clear()
        super()._lose(sampler, reason)


class SaysItOnce(Member):
    def _speak(self, now):
        for lease in self._made:
            if self._resend[lease] > 0:
                self._resend[lease] = float("inf")
        super()._speak(now)


@pytest.mark.parametrize(
    "faulty",
    [{"desk": TakesWhatIsStale}, {"desk": ForgetsTheSilent}, {"member": SaysItOnce}],
    ids=lambda faulty: next(iter(faulty.values())).__name__,
)
def test_the_simulator_sees_what_is_wrong(faulty):
    with pytest.raises(Broken):
        for seed in range(60):
            Simulation(seed, **faulty).run()
