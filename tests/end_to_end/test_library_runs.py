"""Shipped specifications evolve without any language model."""

import pytest

import elm


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "inputs", "constant"),
    [
        ("cap_set", [4, 5], (16 + 32) / 2),
        ("deletion_codes", [(6, 1), (7, 1), (8, 1)], (8 + 14 + 25) / 3),
        ("cyclic_graphs", [(7, 2), (9, 2)], (9 + 16) / 2),
    ],
)
def test_edits_of_syntax_trees_beat_a_constant_priority(tmp_path, name, inputs, constant):
    summary = elm.run(
        environment={"name": "specification", "path": name, "inputs": inputs},
        variation={"name": "syntax_tree"},
        archive={"name": "grid", "behaviours": "once"},
        dispatch={"name": "local", "slots": 1},
        budget={"evaluations": 400},
        run_dir=str(tmp_path),
        report=False,
        view="none",
        seed=1,
    )
    assert summary["best_fitness"] > constant
    assert summary["verified"] is True
    assert summary["cells"] > 3
