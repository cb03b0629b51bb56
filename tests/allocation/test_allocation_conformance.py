"""What every allocation promises (`elm.allocation.base`)."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import msgspec
import pytest

from elm.allocation import Allocation, Outcome, build

ARMS = ("a", "b", "c")
CHANCE = {"a": 0.1, "b": 0.2, "c": 0.5}
ALL: dict[str, dict[str, Any]] = {
    "weights": {"policy": "weights"},
    "ucb": {"policy": "ucb"},
    "ucb, gain, tokens": {"policy": "ucb", "reward": "gain", "cost": "tokens"},
    "thompson": {"policy": "thompson"},
    "thompson, gain, money": {"policy": "thompson", "reward": "gain", "cost": "money", "floor": 0},
}
BANDITS = [name for name in ALL if name != "weights"]


def made(name: str, arms: tuple[str, ...] = ARMS, **changes: Any) -> Allocation:
    return build({**ALL[name], **changes}, arms)


def outcome(arm: str, rng: random.Random) -> Outcome:
    entered = rng.random() < CHANCE.get(arm, 0.3)
    return Outcome(
        arm=arm,
        entered=entered,
        fitness=rng.random() + entered if rng.random() < 0.8 else None,
        parent=0.9 if rng.random() < 0.9 else None,
        tokens=rng.randrange(500),
        cost=rng.random(),
    )


def history(allocation: Allocation, blocks: int, size: int = 16) -> list[Outcome]:
    told = []
    for block in range(blocks):
        rng = random.Random(block)
        for arm in allocation.ask(size, rng):
            told.append(outcome(arm, rng))
            allocation.tell(told[-1])
    return told


@pytest.mark.parametrize("name", ALL)
def test_an_allocation_is_the_fold_of_what_it_was_told(name: str) -> None:
    one = made(name)
    told = history(one, 12)
    other = made(name)
    for entry in told:
        other.tell(entry)
    for seed in range(10):
        asked = one.ask(16, random.Random(seed))
        assert other.ask(16, random.Random(seed)) == asked
    # It was kept in a journal in between.
    third = made(name)
    for entry in msgspec.json.decode(msgspec.json.encode(told), type=list[Outcome]):
        third.tell(entry)
    assert third.ask(64, random.Random(1)) == one.ask(64, random.Random(1))


@pytest.mark.parametrize("name", ALL)
def test_to_ask_changes_nothing(name: str) -> None:
    one, other = made(name), made(name)
    for allocation in (one, other):
        history(allocation, 5)
    for seed in range(20):
        one.ask(seed, random.Random(seed))
    assert one.ask(40, random.Random(0)) == other.ask(40, random.Random(0))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("count", [0, 1, 2, 7, 200])
def test_it_gives_as_many_as_are_asked_for(name: str, count: int) -> None:
    allocation = made(name)
    assert allocation.arms == ARMS
    for _ in range(3):
        asked = allocation.ask(count, random.Random(count))
        assert len(asked) == count and set(asked) <= set(ARMS)
        history(allocation, 2)


@pytest.mark.parametrize("name", ALL)
def test_one_arm_gets_everything(name: str) -> None:
    allocation = made(name, ("only",))
    history(allocation, 3)
    assert allocation.ask(9, random.Random(1)) == ["only"] * 9


@pytest.mark.parametrize("name", BANDITS)
def test_all_arms_are_tried_first(name: str) -> None:
    arms = tuple("abcdefgh")
    allocation = made(name, arms, floor=0.0)
    assert allocation.ask(8, random.Random(3)) == list(arms)
    for arm in "aac":
        allocation.tell(Outcome(arm=arm, entered=True, fitness=2.0, parent=1.0, tokens=3, cost=1))
    assert allocation.ask(6, random.Random(3)) == list("bdefgh")


@pytest.mark.parametrize("name", ["ucb", "thompson"])
def test_regret_is_far_below_that_of_chance(name: str) -> None:
    blocks, size, best = 60, 32, max(CHANCE.values())
    regrets = []
    for seed in range(5):
        allocation, rng, regret = made(name), random.Random(seed), 0.0
        for block in range(blocks):
            for arm in allocation.ask(size, random.Random(f"{seed} {block}")):
                regret += best - CHANCE[arm]
                allocation.tell(Outcome(arm=arm, entered=rng.random() < CHANCE[arm]))
        regrets.append(regret)
    uniform = blocks * size * (best - sum(CHANCE.values()) / len(CHANCE))
    assert max(regrets) < 0.5 * uniform


@pytest.mark.parametrize("name", ["ucb", "thompson"])
def test_gains_count_as_shares_of_the_best(name: str) -> None:
    """Whatever the unit of fitness is, the same children earn the same."""
    chosen = []
    for unit in (1e-6, 1.0, 1e9):
        allocation, rng, drawn = made(name, reward="gain"), random.Random(7), Counter[str]()
        for block in range(30):
            for arm in allocation.ask(16, random.Random(block)):
                drawn[arm] += 1
                gain = CHANCE[arm] * rng.uniform(-1.0, 1.0)
                allocation.tell(Outcome(arm=arm, entered=False, fitness=gain * unit, parent=0.0))
        chosen.append(drawn)
    assert chosen[0] == chosen[1] == chosen[2]
    assert chosen[0]["c"] > 2 * chosen[0]["a"]


@pytest.mark.parametrize("name", ["ucb", "thompson"])
@pytest.mark.parametrize("cost", ["tokens", "money"])
def test_of_two_alike_the_cheaper_is_preferred(name: str, cost: str) -> None:
    allocation, drawn, rng = (
        made(name, ("dear", "cheap"), cost=cost),
        Counter[str](),
        random.Random(1),
    )
    for block in range(40):
        for arm in allocation.ask(16, random.Random(block)):
            drawn[arm] += 1
            price = 10 if arm == "dear" else 1
            allocation.tell(
                Outcome(arm=arm, entered=rng.random() < 0.4, tokens=100 * price, cost=0.01 * price)
            )
    assert drawn["cheap"] > 2 * drawn["dear"]


@pytest.mark.parametrize("name", ["ucb", "thompson"])
def test_an_arm_that_costs_nothing_does_not_shut_out_the_others(name: str) -> None:
    allocation, drawn = made(name, ("free", "good"), cost="tokens", floor=0.0), Counter[str]()
    rng = random.Random(2)
    for block in range(60):
        for arm in allocation.ask(16, random.Random(block)):
            drawn[arm] += 1
            chance = 0.01 if arm == "free" else 0.9
            tokens = 0 if arm == "free" else 1000
            allocation.tell(Outcome(arm=arm, entered=rng.random() < chance, tokens=tokens))
    assert drawn["good"] > 0.3 * drawn.total()


@pytest.mark.parametrize("name", ["ucb", "thompson"])
def test_the_floor_is_kept(name: str) -> None:
    allocation, drawn = made(name, floor=0.2, sigma=0.1), Counter[str]()
    for block in range(50):
        for arm in allocation.ask(20, random.Random(block)):
            drawn[arm] += 1
            allocation.tell(Outcome(arm=arm, entered=arm == "a"))
        assert min(drawn[arm] for arm in ARMS) >= 0.2 * drawn.total() - 1
    assert drawn["a"] > 0.5 * drawn.total()


def test_a_late_report_does_not_give_a_block_to_one_arm() -> None:
    """What was given away within one call counts, though nothing of it was told yet."""
    allocation = made("ucb")
    for arm in ARMS:
        allocation.tell(Outcome(arm=arm, entered=arm == "c"))
    drawn = Counter(allocation.ask(60, random.Random(1)))
    assert min(drawn[arm] for arm in ARMS) >= 3 and drawn["c"] == max(drawn.values())


@pytest.mark.parametrize("count", [1, 2, 3, 7, 10, 32, 100])
@pytest.mark.parametrize("weights", [(0.5, 0.3, 0.2), (1, 1, 1), (5, 0, 1), (1e-9, 1, 0)])
def test_weights_are_kept_as_exactly_as_counts_allow(
    count: int, weights: tuple[float, ...]
) -> None:
    allocation = build({}, ARMS, weights)
    total, orders = Counter[str](), set()
    for seed in range(300):
        asked = allocation.ask(count, random.Random(seed))
        drawn = Counter(asked)
        orders.add(tuple(asked))
        for arm, weight in zip(ARMS, weights, strict=True):
            due = count * weight / sum(weights)
            assert abs(drawn[arm] - due) < 1
            assert weight or not drawn[arm]
        total.update(drawn)
    for arm, weight in zip(ARMS, weights, strict=True):
        share = weight / sum(weights)
        assert abs(total[arm] / total.total() - share) < 0.1 / count**0.5 + 1e-9
    if count == 32 and weights[0] == 0.5:
        assert len(orders) > 200


@pytest.mark.parametrize("reward", ["entered", "gain"])
@pytest.mark.parametrize("cost", ["none", "tokens", "money"])
def test_outcomes_without_anything_earn_nothing(reward: str, cost: str) -> None:
    for policy in ("ucb", "thompson"):
        allocation = build({"policy": policy, "reward": reward, "cost": cost}, ARMS)
        for arm in ARMS * 4:
            allocation.tell(Outcome(arm=arm, entered=False))
        asked = Counter(allocation.ask(60, random.Random(1)))
        assert len(asked) == 3


def test_gains_that_no_number_holds_break_nothing() -> None:
    allocation = build({"policy": "ucb", "reward": "gain"}, ARMS)
    for arm in ARMS * 50:
        allocation.tell(Outcome(arm=arm, entered=True, fitness=1.7e308, parent=-1.7e308))
    assert len(Counter(allocation.ask(9, random.Random(1)))) == 3


def test_an_unknown_arm_is_a_defect() -> None:
    for name in BANDITS:
        with pytest.raises(ValueError, match="no arm 'z', known: a, b, c"):
            made(name).tell(Outcome(arm="z", entered=True))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"polcy": "ucb"}, "models.polcy: unknown setting, known: policy, .*mean 'policy'"),
        ({"policy": "usb"}, "models.policy: expected one of weights, ucb, thompson, got 'usb'"),
        ({"reward": 1}, "models.reward: expected one of entered, gain, got 1"),
        ({"cost": "time"}, "models.cost: expected one of none, tokens, money, got 'time'"),
        ({"policy": "ucb", "floor": 0.5}, "models.floor: expected 0 to 0.333 for 3 arms, got 0.5"),
        ({"floor": -0.1}, "models.floor: expected `float` >= 0.0, got -0.1"),
        ({"exploration": 0}, "models.exploration: expected `float` > 0.0, got 0"),
        ({"sigma": "wide"}, "models.sigma: expected `float | null`, got 'wide'"),
    ],
)
def test_what_is_wrong_is_named(settings: dict[str, Any], message: str) -> None:
    pattern: str = message.replace("|", r"\|")
    with pytest.raises(ValueError, match=pattern):
        build(settings, ARMS, section="models")


@pytest.mark.parametrize("arms", [(), ("a", "b", "a")])
def test_arms_have_names_of_their_own(arms: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="allocation: expected arms of different names"):
        build({}, arms)


@pytest.mark.parametrize("weights", [(1, 1), (0, 0, 0), (-1, 1, 1), (float("inf"), 1, 1)])
def test_wrong_weights_are_named(weights: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"allocation\.weights: expected"):
        build({}, ARMS, weights)
