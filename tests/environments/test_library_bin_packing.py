"""Online bin packing: published instances and their loader, generators, known values."""

import ast
import gzip
import json
import subprocess
import sys

import numpy as np
import pytest
from library_kit import PUBLISHED, specification

from environments.specification.instances import published


def inputs(name):
    """The published instances, in the form that this project writes."""
    return gzip.decompress((PUBLISHED / f"{name}.inputs.gz").read_bytes()).decode()


def instances(name):
    return [ast.literal_eval(line) for line in inputs(name).splitlines()]


def found_for_or(item, bins):
    """The heuristic that FunSearch found for the OR instances: steps of the room that is left."""
    values = np.array([4, 3, 2, 1, 0.9, 0.95, 0.97, 0.98, 0.99])
    return values[np.searchsorted([2, 3, 5, 7, 9, 12, 15, 21], bins - item)]


def found_for_weibull(item, bins):
    """The heuristic that FunSearch found for the Weibull instances."""
    value = (bins - bins.max()) ** 2 / item + bins**2 / item**2 + bins**2 / item**3
    value = np.where(bins > item, -value, value)
    return np.concatenate([value[:1], np.diff(value)])


def best_fit(item, bins):
    return item - bins


@pytest.mark.parametrize(
    ("name", "priority", "bound", "bins", "excess"),
    [
        ("or3", None, 201.2, 212.0, 5.37),
        ("or3", best_fit, 201.2, 212.0, 5.37),
        ("or3", found_for_or, 201.2, 207.45, 3.11),
        ("weibull_5k", best_fit, 1987.8, 2067.0, 3.98),
        ("weibull_5k", found_for_weibull, 1987.8, 2001.4, 0.68),
    ],
)
def test_known_values_of_the_published_instances(monkeypatch, name, priority, bound, bins, excess):
    module = specification("bin_packing")
    if priority is not None:  # the shipped one
        monkeypatch.setattr(module, "priority", priority)
    lower, used = [], []
    for capacity, items in instances(name):
        found = module.evaluate((capacity, items))
        score = module.check((capacity, items), json.loads(json.dumps(found["solution"])))
        assert score["score"] == found["score"]
        lower.append(-(-sum(items) // capacity))
        used.append(-score["score"])
        assert score["excess"] == pytest.approx(used[-1] / lower[-1] - 1)
    assert np.mean(lower) == pytest.approx(bound)
    assert np.mean(used) == pytest.approx(bins)
    assert 100 * (np.mean(used) / np.mean(lower) - 1) == pytest.approx(excess, abs=0.005)


def test_an_item_in_another_bin_is_refused():
    module = specification("bin_packing")
    params = instances("or3")[0]
    places = module.evaluate(params)["solution"]
    assert module.check(params, places)["score"] == -len(set(places))
    capacity, items = params
    room = dict.fromkeys(places, capacity)
    for place, item in zip(places, items, strict=True):
        room[place] -= item
    full = min(room, key=lambda place: room[place])
    moved = next(i for i, item in enumerate(items) if item > room[full] and places[i] != full)
    places[moved] = full
    with pytest.raises(ValueError, match=f"a bin of capacity {capacity} holds"):
        module.check(params, places)


def library_form(found):
    lines = [str(len(found))]
    for number, (capacity, items) in enumerate(found):
        lines += [f" u500_{number:02}", f" {capacity} {len(items)} 198", *map(str, items)]
    return "\n".join(lines) + "\n"


def notebook_form(found, heading):
    sets = {
        f"test_{number}": {"capacity": capacity, "num_items": len(items), "items": list(items)}
        for number, (capacity, items) in enumerate(found)
    }
    source = f"import numpy as np\ndatasets = {{}}\ndatasets[{heading!r}] = {sets!r}\n"
    cells = [
        {"cell_type": "markdown", "source": ["# Bin packing\n"]},
        {"cell_type": "code", "source": source.splitlines(keepends=True)},
    ]
    return json.dumps({"cells": cells, "nbformat": 4})


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("or3", library_form),
        ("or3", lambda found: library_form(found).replace("\n", "\r\n")),
        ("or3", lambda found: notebook_form(found, "OR3")),
        ("weibull_5k", lambda found: notebook_form(found, "Weibull 5k")),
        ("or3", lambda found: inputs("or3")),
    ],
)
def test_published_files_become_inputs(tmp_path, name, form):
    file = tmp_path / "published"
    file.write_text(form(instances(name)), newline="")
    done = subprocess.run(
        [sys.executable, "-m", "environments.specification.instances", name, str(file)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == inputs(name)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.replace("\n42\n", "\n43\n", 1), "SHA-256"),
        (lambda text: text.replace("\n42\n", "\n420\n", 1), "items must be from 1 to"),
        (lambda text: text[:-40], "it ends too early"),
        (lambda text: text + "9\n", "goes on behind its last instance"),
        (lambda text: text.replace("\n42\n", "\nx\n", 1), "'x'"),
        (lambda text: "", "it ends too early"),
        (lambda text: "{", "no instances"),
        (lambda text: '{"cells": []}', "the notebook has no set or3"),
        (lambda text: "[1, 2]", "no instances"),
        (lambda text: "(150, (1, 2)", "no instances"),
        (lambda text: "(150, (1, 2))", "SHA-256"),
        (lambda text: "(150, [1, 'a'])", "no instances"),
    ],
)
def test_files_that_are_not_the_published_ones(tmp_path, change, reason):
    file = tmp_path / "binpack3.txt"
    file.write_text(change(library_form(instances("or3"))))
    with pytest.raises(ValueError, match=reason) as caught:
        published.read(file, "or3")
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_set_that_is_not_known(tmp_path):
    with pytest.raises(ValueError, match="there is no set 'or9'; known are or1"):
        published.read(tmp_path, "or9")


def test_generated_instances_are_the_same_everywhere():
    instance = specification("bin_packing").instance
    assert instance(("uniform", 6, 1)) == (150, (30, 88, 81, 40, 60, 56))
    assert instance(("weibull", 6, 1)) == (100, (24, 56, 51, 30, 40, 38))
    assert instance(("weibull", 6, 1)) != instance(("weibull", 6, 2))
    with pytest.raises(ValueError, match="uniform and weibull"):
        instance(("normal", 6, 1))


def test_generated_instances_are_distributed_like_the_published_ones():
    instance = specification("bin_packing").instance
    for name, kind in [("or3", "uniform"), ("weibull_5k", "weibull")]:
        real = np.concatenate([items for _, items in instances(name)])
        capacity, items = instance((kind, len(real), 3))
        assert capacity == instances(name)[0][0]
        assert np.mean(items) == pytest.approx(np.mean(real), rel=0.02)
        assert np.std(items) == pytest.approx(np.std(real), rel=0.03)
        assert min(items) >= 1
        assert max(items) <= 100


@pytest.mark.parametrize("wrong", [lambda bins: bins[:-1], lambda bins: 1.0, lambda bins: [bins]])
def test_a_priority_for_each_bin(monkeypatch, wrong):
    module = specification("bin_packing")
    monkeypatch.setattr(module, "priority", lambda item, bins: wrong(bins))
    with pytest.raises(ValueError, match="priority returned"):
        module.evaluate(("uniform", 10, 1))
