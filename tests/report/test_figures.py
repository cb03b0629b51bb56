"""Figures and what is chosen for them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from elm.archive import Archive, CVTSpace, GridSpace
from elm.candidate import Candidate, Elite, Evaluation, Program, Status
from elm.journal import Commit
from elm.report import figures, maps
from elm.report.gallery import difference, diverse, spread
from environments.base import Axis, Objective

OBJECTIVE = Objective("distance", f_min=0.0, unit="m")


def elite(identity: int, fitness: float, descriptor: Sequence[float]) -> Elite:
    program = Program({"p.py": f"x = {identity}\n"})
    return Elite(
        Candidate(id=identity, block=1, program=program),
        Evaluation(
            candidate=identity, status=Status.OK, fitness=fitness, descriptor=tuple(descriptor)
        ),
    )


def archive_of(dimensions: int, kind: str, count: int = 30) -> Archive:
    axes = [Axis(f"axis{i}", 0.0, 10.0, 6, "kg") for i in range(dimensions)]
    space = GridSpace(axes) if kind == "grid" else CVTSpace(axes, 40, samples=400)
    archive = Archive(space, f_min=0.0)
    for i in range(count):
        archive.add(
            elite(i, float(i % 7), [(i * 3.7 + d * 1.3 * i) % 10 for d in range(dimensions)])
        )
    return archive


@pytest.mark.parametrize("kind", ["grid", "cvt"])
@pytest.mark.parametrize("dimensions", [1, 2, 3, 4, 6])
def test_a_map_names_each_axis_with_its_unit_whatever_the_archive(kind, dimensions):
    svg = maps.heat_map(archive_of(dimensions, kind), OBJECTIVE)
    for i in range(dimensions):
        assert f"axis{i} (kg)" in svg
    assert "distance (m)" in svg
    assert svg.startswith("<svg ") and svg.rstrip().endswith("</svg>")


def test_a_map_keeps_the_limits_of_the_archive():
    """One elite in a corner: the ticks still span the whole axis."""
    archive = Archive(GridSpace([Axis("a", 0.0, 800.0, 4), Axis("b", 0.0, 1.0, 4)]), f_min=0.0)
    archive.add(elite(0, 1.0, (5.0, 0.1)))
    svg = maps.heat_map(archive, OBJECTIVE)
    assert ">0<" in svg and ">800<" in svg


@pytest.mark.parametrize("dimensions", [1, 2, 3, 6])
def test_an_empty_archive_has_a_map(dimensions):
    assert "axis0 (kg)" in maps.heat_map(archive_of(dimensions, "grid", 0), OBJECTIVE)


def test_a_large_map_is_an_image_and_stays_small():
    axes = [Axis("a", 0.0, 1.0, 300), Axis("b", 0.0, 1.0, 300)]
    archive = Archive(GridSpace(axes), f_min=0.0)
    for i in range(300):
        archive.add(elite(i, float(i), (i / 300, (i * 7 % 300) / 300)))
    svg = maps.heat_map(archive, OBJECTIVE)
    assert "data:image/png" in svg and len(svg) < 300_000


def test_figures_take_their_colours_from_the_page():
    svg = maps.heat_map(archive_of(2, "grid"), OBJECTIVE)
    assert "var(--ink)" in svg or "var(--muted)" in svg
    assert "var(--empty)" in svg and "#5f6b79" not in svg and "DejaVu" not in svg


def commits(statuses: list[dict[str, int]], tokens: int = 0) -> list[Commit]:
    return [
        Commit(
            i,
            float(i),
            {
                "evaluations": 10 * i, "tokens": tokens * i, "coverage": 0.01 * i,
                "qd_score": 1.0 * i, "best_fitness": None if i == 0 else 1.0 * i,
                "statuses": total,
            },
        )
        for i, total in enumerate(statuses)
    ]  # fmt: skip


def test_curves_show_tokens_only_where_a_model_ran():
    history = [{"ok": 5 * i} for i in range(9)]
    assert "tokens" not in figures.curves(commits(history), OBJECTIVE)
    assert "tokens of the model" in figures.curves(commits(history, tokens=100), OBJECTIVE)


def test_outcomes_name_the_kinds_that_occurred():
    svg = figures.outcomes(
        commits([{}, {"ok": 5, "timeout": 3}, {"ok": 8, "timeout": 3, "lost": 1}])
    )
    for word in ("ok", "timeout", "lost"):
        assert f">{word}<" in svg
    assert "memory" not in svg


def test_a_run_without_blocks_has_figures():
    for svg in (
        figures.curves([], OBJECTIVE),
        figures.outcomes([]),
        figures.outcomes(commits([{}])),
    ):
        assert "</svg>" in svg
    assert "</svg>" in figures.profile(archive_of(2, "grid", 0), OBJECTIVE)


def test_the_gallery_holds_the_best_and_spreads_the_others():
    archive = Archive(GridSpace([Axis("a", 0.0, 10.0, 10), Axis("b", 0.0, 1.0, 10)]), f_min=0.0)
    for i in range(10):
        archive.add(elite(i, 5.0 + (i == 4), (i + 0.5, 0.05)))
    archive.add(elite(20, 5.0, (0.5, 0.95)))
    archive.add(elite(21, 1.0, (9.5, 0.95)))  # far from all, and bad
    chosen = [e.candidate.id for e in diverse(archive, 4)]
    assert chosen[0] == 4 and 20 in chosen and 21 not in chosen
    assert {0, 9} & set(chosen)
    assert len(diverse(archive, 99)) == len({e.candidate.id for e in diverse(archive, 99)})
    assert diverse(archive_of(2, "grid", 0), 5) == []


def test_a_difference_marks_lines():
    old, new = Program({"p.py": "a\nb\nc\n"}), Program({"p.py": "a\nB\nc\n", "q.py": "new\n"})
    assert difference(old, new) == [
        ("place", "@@ -1,3 +1,3 @@"), ("same", " a"), ("del", "-b"), ("add", "+B"), ("same", " c"),
        ("place", "@@ -0,0 +1 @@"), ("add", "+new"),
    ]  # fmt: skip
    assert difference(old, old) == []


@pytest.mark.parametrize("length", [0, 1, 5, 6, 7, 100])
def test_spread_keeps_both_ends(length):
    positions = spread(range(length), 6)
    assert len(positions) == min(6, length)
    assert not length or {0, length - 1} <= positions
