"""Cap sets, admissible sets, codes and cycles: known values, and sets that are nearly right."""

import copy
import itertools
import json
import random

import numpy as np
import pytest
from library_kit import (
    constant,
    full_admissible_set,
    large_set_of_the_cycle,
    largest_known_cap_set,
    members,
    specification,
)

NAMES = ["cap_set", "admissible_set", "bin_packing", "deletion_codes", "cyclic_graphs"]
SMALL = {
    "cap_set": 3,
    "admissible_set": (6, 3),
    "bin_packing": ("uniform", 30, 1),
    "deletion_codes": (6, 1),
    "cyclic_graphs": (5, 2),
}


@pytest.fixture
def solve(monkeypatch):
    """What a specification finds with a priority of the test's, checked by itself."""

    def go(name, priority, params):
        module = specification(name)
        monkeypatch.setattr(module, "priority", priority)
        found = json.loads(json.dumps(module.evaluate(params)))
        checked = module.check(params, found["solution"])
        assert (checked["score"] if name == "bin_packing" else checked) == found["score"]
        return found

    return go


@pytest.mark.parametrize("n", range(3, 10))
def test_the_cap_set_of_a_constant_priority(solve, n):
    assert solve("cap_set", constant, n)["score"] == 2**n


def test_the_largest_known_cap_set_of_dimension_8(solve):
    known = largest_known_cap_set()
    assert specification("cap_set").check(8, sorted(map(list, known))) == 512
    assert solve("cap_set", members(known), 8)["score"] == 512


@pytest.mark.parametrize("seed", range(5))
def test_one_more_vector_spoils_the_largest_known_cap_set(seed):
    known = largest_known_cap_set()
    outside = sorted(set(itertools.product(range(3), repeat=8)) - known)
    more = [*map(list, known), list(random.Random(seed).choice(outside))]
    with pytest.raises(ValueError, match="add up to zero"):
        specification("cap_set").check(8, more)


def test_admissible_sets_of_a_constant_priority(solve):
    assert solve("admissible_set", constant, (12, 7))["score"] == 548


@pytest.mark.slow
def test_a_large_symmetric_admissible_set_of_a_constant_priority(solve):
    assert solve("admissible_set", constant, (15, 10, 3))["score"] == 1842


def test_the_full_admissible_set(solve):
    known = full_admissible_set()
    assert specification("admissible_set").check((12, 7), sorted(map(list, known))) == 792
    assert solve("admissible_set", members(known), (12, 7, 3))["score"] == 792


@pytest.mark.slow
def test_the_full_admissible_set_vector_by_vector(solve):
    assert solve("admissible_set", members(full_admissible_set()), (12, 7))["score"] == 792


@pytest.mark.parametrize("seed", range(5))
def test_a_changed_sign_spoils_the_full_admissible_set(seed):
    chance = random.Random(seed)
    known = sorted(map(list, full_admissible_set()))
    vector = chance.choice(known)
    place = chance.choice([i for i in range(12) if vector[i]])
    vector[place] = 3 - vector[place]
    with pytest.raises(ValueError, match="have no coordinate"):
        specification("admissible_set").check((12, 7), known)


def admissible(vectors):
    """The definition, pair by pair and three by three."""
    telling = ([0, 0, 1], [0, 0, 2], [0, 1, 2])
    pairs = itertools.combinations(vectors, 2)
    return all([x > 0 for x in a] != [x > 0 for x in b] for a, b in pairs) and all(
        any(sorted(column) in telling for column in zip(*three, strict=True))
        for three in itertools.combinations(vectors, 3)
    )


def test_the_check_of_admissible_sets_is_their_definition():
    chance = random.Random(7)
    verdicts = {True: 0, False: 0}
    for _ in range(600):
        n = chance.randint(3, 6)
        w = chance.randint(1, n - 1)
        vectors = [list(v) for v in itertools.product(range(3), repeat=n) if n - v.count(0) == w]
        some = chance.sample(vectors, min(len(vectors), chance.randint(2, 6)))
        try:
            valid = specification("admissible_set").check((n, w), some) == len(some)
        except ValueError:
            valid = False
        assert valid == admissible(some), some
        verdicts[valid] += 1
    assert min(verdicts.values()) > 100


@pytest.mark.parametrize(("n", "w"), [(6, 2), (6, 3), (6, 4), (9, 5)])
@pytest.mark.parametrize("seed", [1, 2])
def test_admissible_sets_in_blocks_and_one_by_one_are_valid_and_maximal(solve, n, w, seed):
    def priority(el, n, w):
        return random.Random(f"{seed} {el}").random()

    solve("admissible_set", priority, (n, w, 3))
    found = solve("admissible_set", priority, (n, w))["solution"]
    check = specification("admissible_set").check
    others = [v for v in itertools.product(range(3), repeat=n) if n - v.count(0) == w]
    for other in random.Random(seed).sample(others, 40):
        with pytest.raises(ValueError, match=r"have no coordinate|zeros at the same places"):
            check((n, w), [*found, list(other)])


@pytest.mark.parametrize(
    ("params", "size", "edges"),
    [
        ((6, 1), 8, 543),
        ((7, 1), 14, 1471),
        ((8, 1), 25, 3839),
        ((9, 1), 42, 9727),
        ((10, 1), 71, 24063),
        ((11, 1), 125, 58367),
        ((7, 2), 5, 5173),
        ((8, 2), 6, 17183),
        ((9, 2), 9, 54895),
        ((10, 2), 13, 169162),
        ((11, 2), 20, 504451),
        ((12, 2), 29, 1460525),
    ],
)
def test_deletion_codes_of_a_constant_priority(solve, params, size, edges):
    _, starts, neighbours = specification("deletion_codes").conflict_graph(*params, 2)
    assert starts[-1] == len(neighbours) == 2 * edges
    assert solve("deletion_codes", constant, params)["score"] == size


@pytest.mark.parametrize(("n", "size"), [(6, 10), (7, 16), (8, 30), (9, 52), (10, 94), (11, 172)])
def test_the_codes_of_varshamov_and_tenengolts(solve, n, size):
    def remainder(word):
        return sum(place * x for place, x in enumerate(word, start=1)) % (n + 1)

    known = [list(w) for w in itertools.product((0, 1), repeat=n) if remainder(w) == 0]
    check = specification("deletion_codes").check
    assert check((n, 1), known) == size
    found = solve("deletion_codes", lambda word, *_: -float(remainder(word) > 0), (n, 1))
    assert sorted(found["solution"]) == known
    outside = [list(w) for w in itertools.product((0, 1), repeat=n) if remainder(w) == 1]
    for word in random.Random(n).sample(outside, 3):
        with pytest.raises(ValueError, match="can both become"):
            check((n, 1), [*known, word])
    with pytest.raises(ValueError, match="can both become"):
        check((n, 2), known)


@pytest.mark.parametrize("params", [(4, 1, 3), (5, 2, 2), (5, 2, 3), (4, 1, 4), (3, 2, 2)])
def test_conflicts_are_those_of_the_definition(params):
    n, s, q = params
    words, starts, neighbours = specification("deletion_codes").conflict_graph(n, s, q)
    balls = [set(itertools.combinations(word, n - s)) for word in words.tolist()]
    for one, ball in enumerate(balls):
        near = [two for two, other in enumerate(balls) if two != one and ball & other]
        assert neighbours[starts[one] : starts[one + 1]].tolist() == near


def test_programs_that_share_a_graph_cannot_write_to_it():
    for array in specification("deletion_codes").conflict_graph(7, 1, 2):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize(
    ("params", "size"), [((5, 2), 4), ((7, 2), 9), ((7, 4), 81), ((7, 5), 243)]
)
def test_cycles_of_a_constant_priority(solve, params, size):
    assert solve("cyclic_graphs", constant, params)["score"] == size


@pytest.mark.parametrize(
    ("params", "size", "remainder"),
    [
        ((5, 2), 5, lambda el: (el[1] - 2 * el[0]) % 5),  # Shannon (1956)
        ((5, 4), 25, lambda el: (el[1] - 2 * el[0]) % 5 + (el[3] - 2 * el[2]) % 5),
        # After the function that FunSearch found for cycles of 9.
        (
            (9, 3),
            81,
            lambda el: -(2 * el[2] - 4 * el[0] + el[1]) % 9 - (el[0] + 2 * el[1] + 4 * el[2]) % 9,
        ),
    ],
)
def test_known_sets_of_cycles(solve, params, size, remainder):
    found = solve("cyclic_graphs", lambda el, m, n: -float(remainder(el)), params)
    assert found["score"] == size


def test_the_set_of_the_cycle_of_eleven_that_funsearch_found(solve):
    known = large_set_of_the_cycle()
    vertices = sorted(map(list, known))
    check = specification("cyclic_graphs").check
    assert check((11, 4), vertices) == 754
    assert solve("cyclic_graphs", members(known), (11, 4))["score"] == 754
    vertices[100][2] = (vertices[100][2] + 1) % 11
    with pytest.raises(ValueError, match="adjacent"):
        check((11, 4), vertices)


def cap(vectors):
    threes = itertools.combinations(vectors, 3)
    return all(any(sum(column) % 3 for column in zip(*three, strict=True)) for three in threes)


def corrects_a_deletion(words):
    balls = [{tuple(w[:i] + w[i + 1 :]) for i in range(len(w))} for w in words]
    return all(a.isdisjoint(b) for a, b in itertools.combinations(balls, 2))


def independent(vertices):
    pairs = itertools.combinations(vertices, 2)
    return not any({(x - y) % 5 for x, y in zip(a, b, strict=True)} <= {0, 1, 4} for a, b in pairs)


@pytest.mark.parametrize(
    ("name", "params", "symbols", "length", "definition"),
    [
        ("cap_set", 3, 3, 3, cap),
        ("deletion_codes", (5, 1), 2, 5, corrects_a_deletion),
        ("cyclic_graphs", (5, 2), 5, 2, independent),
    ],
)
def test_checks_are_definitions(name, params, symbols, length, definition):
    chance = random.Random(11)
    every = [list(v) for v in itertools.product(range(symbols), repeat=length)]
    verdicts = {True: 0, False: 0}
    for _ in range(500):
        some = chance.sample(every, chance.randint(2, 6))
        try:
            valid = specification(name).check(params, some) == len(some)
        except ValueError:
            valid = False
        assert valid == definition(some), some
        verdicts[valid] += 1
    assert min(verdicts.values()) > 50


def spoiled(solution):
    """What no check may let pass, made of a valid solution; True where a set repeats a member."""
    yield from (None, "x", {}, 7, [[]], [None], solution[0])
    yield tuple(solution)
    flat = type(solution[0]) is int
    for value in (-1, 99, True, 0.0, "0", None, [0], 10**30):
        changed = copy.deepcopy(solution)
        if flat:
            changed[0] = value
        else:
            changed[0][0] = value
        yield changed
    if flat:
        yield solution[:-1]
        yield [*solution, 0]
        yield [0] * len(solution)
    else:
        yield [*solution, solution[0]]
        yield [solution[0][:-1], *solution[1:]]
        yield [[*solution[0], 0], *solution[1:]]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_but_a_solution_is_scored(name):
    module, params = specification(name), SMALL[name]
    solution = module.evaluate(params)["solution"]
    tried = 0
    for wrong in spoiled(solution):
        with pytest.raises(ValueError, match=r"."):
            module.check(params, wrong)
        tried += 1
    assert tried > 15


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [float("nan"), "high", None, [1.0, 2.0], 1j])
def test_a_priority_that_is_no_number_fails(monkeypatch, name, value):
    module = specification(name)
    monkeypatch.setattr(module, "priority", lambda *_: value)
    with pytest.raises((ValueError, TypeError)):
        module.evaluate(SMALL[name])


@pytest.mark.parametrize("name", NAMES)
def test_infinite_priorities_are_an_order_like_any_other(solve, name):
    def priority(element, *rest):
        values = np.random.default_rng(1).choice([-np.inf, np.inf, 0.0], size=1000)
        return values[: len(rest[0])] if name == "bin_packing" else values[sum(element)]

    assert solve(name, priority, SMALL[name])["score"] != 0


@pytest.mark.parametrize("name", NAMES)
def test_the_mark_of_a_solution_is_its_own(monkeypatch, name):
    module, params = specification(name), SMALL[name]

    def mark(priority):
        monkeypatch.setattr(module, "priority", priority)
        return module.evaluate(params)["hash"]

    if name == "bin_packing":
        same = (lambda item, bins: -bins), (lambda item, bins: 7 - 2 * bins)
        other = lambda item, bins: bins  # noqa: E731
    else:
        same = constant, (lambda *_: 3)
        other = lambda element, *_: random.Random(str(element)).random()  # noqa: E731
    first, second = map(mark, same)
    assert first == second != mark(other)


@pytest.mark.parametrize("name", NAMES)
def test_the_first_inputs_are_solved_by_the_shipped_priority(name):
    module = specification(name)
    scores = [module.evaluate(params)["score"] for params in module.INPUTS]
    assert len(scores) >= 2
    assert len(set(map(repr, module.INPUTS))) == len(scores)
