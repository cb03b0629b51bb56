"""Exports: everything that the journal holds, whole or not at all, and never over other work."""

from __future__ import annotations

import json
import os

import pytest

from elm.candidate import Candidate, Program
from elm.export import ExportError, export
from elm.journal import Block, Journal, JournalError

pq = pytest.importorskip("pyarrow.parquet")


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_json_lines_hold_every_candidate_with_all_that_is_known_of_it(make_run):
    run = make_run(uncommitted=1)
    path, count = export(run.folder, "jsonl")
    assert path == run.folder / "export.jsonl"
    found = lines(path)
    assert [r["id"] for r in found] == [c.id for c in run.candidates]
    assert count == len(found)
    for record, candidate in zip(found, run.candidates, strict=True):
        evaluation = run.evaluations.get(candidate.id)
        assert record["files"] == (candidate.program and candidate.program.files)
        assert record["parents"] == list(candidate.parents)
        assert record["status"] == (evaluation.status if evaluation else candidate.status)
        assert record["committed"] == (candidate.block < 4)
        assert (record["evaluation"] is None) == (evaluation is None)
        if evaluation is not None and evaluation.status == "ok":
            assert record["evaluation"]["fitness"] == evaluation.fitness
            assert record["evaluation"]["artifact"] == {"number": candidate.id}
        assert len(record["attempts"]) == (1 if candidate.block else 0)
    assert found[-1]["attempts"][0]["prompt"] == "prompt of block 4"


def test_parquet_has_flat_columns(make_run):
    run = make_run()
    path, count = export(run.folder, "parquet")
    rows = pq.read_table(path).to_pylist()
    assert len(rows) == count == len(run.candidates)
    row = rows[run.best]
    assert row["fitness"] == run.evaluations[run.best].fitness
    assert json.loads(row["descriptor"]) == list(run.evaluations[run.best].descriptor)
    assert json.loads(row["files"]) == run.candidates[run.best].program.files
    assert (row["seed"], row["committed"], row["prompt_tokens"]) == (2**62 + run.best, True, 100)
    without = next(r for r in rows if r["status"] == "empty_output")
    assert without["fitness"] is None and without["files"] is None and without["verified"] is None


def test_a_folder_holds_programs_as_files(make_run):
    run = make_run()
    path, count = export(run.folder, "dir")
    folders = sorted(p for p in path.iterdir() if p.is_dir())
    assert len(folders) == count == len(run.candidates)
    best = path / f"{run.best:07d}"
    assert (best / "p.py").read_text() == run.candidates[run.best].program.source
    assert json.loads((best / "record.json").read_text())["id"] == run.best


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "dir"])
def test_elites_come_with_their_place(make_run, kind, tmp_path):
    run = make_run(archive={"name": "grid", "depth": 2})
    path, count = export(run.folder, kind, tmp_path / "out", elites=True)
    if kind == "jsonl":
        found = lines(path)
    elif kind == "parquet":
        found = pq.read_table(path).to_pylist()
    else:
        found = [json.loads(p.read_text()) for p in path.glob("*/record.json")]
    assert count == len(run.archive)
    assert {(r["cell"], r["rank"], r["id"]) for r in found} == {
        (cell, rank, e.candidate.id) for cell, rank, e in run.archive.ranked()
    }


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "dir"])
def test_nothing_is_overwritten_unless_forced(make_run, kind, tmp_path):
    run = make_run()
    path, _ = export(run.folder, kind, tmp_path / "out")
    before = sorted((p, p.stat().st_mtime_ns) for p in tmp_path.rglob("out*"))
    with pytest.raises(ExportError, match="out: exists already; name another with --out"):
        export(run.folder, kind, tmp_path / "out")
    assert sorted((p, p.stat().st_mtime_ns) for p in tmp_path.rglob("out*")) == before
    export(run.folder, kind, path, elites=True, force=True)
    if kind == "jsonl":
        assert len(lines(path)) == len(run.archive)
    assert [p.name for p in tmp_path.iterdir() if "part" in p.name] == []


def test_force_replaces_only_what_was_an_export(make_run, tmp_path):
    run = make_run()
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.tex").write_text("years")
    with pytest.raises(ExportError, match="is no earlier export"):
        export(run.folder, "dir", tmp_path / "work", force=True)
    with pytest.raises(ExportError, match="is no file"):
        export(run.folder, "jsonl", tmp_path / "work", force=True)
    assert (tmp_path / "work" / "thesis.tex").read_text() == "years"


def test_bad_arguments_are_one_clear_line(make_run, tmp_path):
    run = make_run()
    with pytest.raises(ExportError, match="format: expected jsonl, parquet, dir, got 'csv'"):
        export(run.folder, "csv")  # type: ignore[arg-type]
    with pytest.raises(ExportError, match=r"nothing: no run folder \(it has no journal.db\)"):
        export(tmp_path / "nothing", "jsonl")
    with pytest.raises(ExportError, match="there is no folder"):
        export(run.folder, "jsonl", tmp_path / "a" / "b.jsonl")


def test_a_damaged_journal_leaves_nothing_behind(make_run):
    run = make_run(blocks=30)
    path = run.folder / "journal.db"
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8192] = os.urandom(8192)
    path.write_bytes(content)
    with pytest.raises((JournalError, ExportError), match="damaged"):
        export(run.folder, "jsonl")
    assert not [p for p in run.folder.iterdir() if "export" in p.name]


@pytest.mark.parametrize("name", ["../../evil.py", "/tmp/evil.py", "a/../../b.py"])
def test_a_program_cannot_write_outside_of_the_export(tmp_path, name):
    folder = tmp_path / "run"
    folder.mkdir()
    with Journal.create(folder / "journal.db", {}) as journal:
        candidate = Candidate(id=0, block=0, program=Program({name: "x = 1\n"}))
        journal.write_block(Block(0, 0, 0.0, 0.0), [candidate], {})
    with pytest.raises(ExportError, match="would lie outside of the export"):
        export(folder, "dir")
    assert [p.name for p in tmp_path.iterdir()] == ["run"]
    assert not [p for p in folder.iterdir() if "export" in p.name]
    _, count = export(folder, "jsonl")
    assert count == 1


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "dir"])
def test_text_that_is_no_unicode_is_exported(tmp_path, kind):
    folder = tmp_path / "run"
    folder.mkdir()
    with Journal.create(folder / "journal.db", {}) as journal:
        candidate = Candidate(
            id=0, block=0, program=Program({"p.py": "x = '\ud800'", "record.json": "{}"})
        )
        journal.write_block(Block(0, 0, 0.0, 0.0), [candidate], {})
    path, _ = export(folder, kind)
    if kind == "jsonl":
        assert lines(path)[0]["files"]["p.py"] == "x = '\ud800'"
    elif kind == "dir":
        assert (path / "0000000" / "p.py").read_text() == "x = '\\ud800'"
        assert json.loads((path / "0000000" / "record.json").read_text())["id"] == 0
    else:
        assert json.loads(pq.read_table(path).to_pylist()[0]["files"])["p.py"] == "x = '\ud800'"


def test_an_export_reads_a_run_that_is_under_way(make_run):
    run = make_run()
    with Journal(run.folder / "journal.db") as writer:
        _, before = export(run.folder, "jsonl")
        writer.write_block(Block(9, 8, 0.0, 0.0), [Candidate(id=999, block=9, program=None)], {})
        _, after = export(run.folder, "jsonl", force=True)
    assert after == before + 1
