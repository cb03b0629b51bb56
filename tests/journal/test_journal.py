"""The journal: append-only, whole after any crash, clear about damage."""

import sqlite3

import pytest

from elm.candidate import Attempt, Candidate, Evaluation, Program, Status
from elm.journal import Block, Commit, Journal, JournalError
from elm.journal.place import file_system, refuse_network_disk


def candidate(identity, block=0, **changes):
    fields = {
        "id": identity,
        "block": block,
        "program": Program({"a.py": f"x = {identity}\n"}),
        "hash": f"h{identity}",
        "operator": "test",
    }
    return Candidate(**{**fields, **changes})


ATTEMPT = Attempt(
    model="m", prompt="say x", completion="x \ud800", prompt_tokens=3, completion_tokens=2, seed=9
)


@pytest.fixture
def journal(tmp_path):
    with Journal.create(tmp_path / "journal.db", {"run_name": "t", "config": {"a": [1]}}) as made:
        yield made


def fill(journal):
    first = [candidate(0), candidate(1, status=Status.SYNTAX_ERROR, program=None, hash="")]
    journal.write_block(Block(0, 0, 0.0, 1.5), first, {})
    second = [candidate(2, 1, parents=(0,)), candidate(3, 1, parents=(0,), detail="bad \udfff")]
    journal.write_block(Block(1, 1, 1.5, 2.5), second, {2: [ATTEMPT, ATTEMPT], 3: [ATTEMPT]})
    journal.write_evaluations(
        [
            Evaluation(
                candidate=2,
                status=Status.OK,
                fitness=0.1 + 0.2,
                descriptor=(1.0, 2e-308),
                artifact={"joints": [[0.5, 1]]},
            ),
            Evaluation(candidate=0, status=Status.TIMEOUT, detail="over 2 s of CPU"),
        ]
    )
    journal.write_commit(Commit(0, 3.0, {"evaluations": 1}))


def test_what_was_written_comes_back_as_it_was(journal, tmp_path):
    fill(journal)
    with Journal(tmp_path / "journal.db", read_only=True) as reader:
        assert reader.meta() == {"run_name": "t", "config": {"a": [1]}}
        assert list(reader.blocks()) == [Block(0, 0, 0.0, 1.5), Block(1, 1, 1.5, 2.5)]
        assert [c.id for c in reader.candidates()] == [0, 1, 2, 3]
        assert next(reader.candidates(1)) == candidate(2, 1, parents=(0,))
        late, early = reversed(list(reader.evaluations()))
        assert (early.candidate, early.status) == (0, Status.TIMEOUT)
        assert late.fitness == 0.1 + 0.2 and late.descriptor == (1.0, 2e-308)
        assert late.artifact == {"joints": [[0.5, 1]]}
        assert [i for i, _ in reader.attempts()] == [2, 2, 3]
        assert list(reader.attempts(0)) == []
        assert next(reader.attempts(1))[1].prompt == "say x"
        assert list(reader.commits()) == [Commit(0, 3.0, {"evaluations": 1})]


def test_text_that_is_no_unicode_is_kept_readable(journal):
    fill(journal)
    assert next(journal.attempts())[1].completion == "x \\ud800"
    assert list(journal.candidates())[3].detail == "bad \\udfff"


def test_siblings_share_the_text_of_their_prompt(journal, tmp_path):
    fill(journal)
    db = sqlite3.connect(tmp_path / "journal.db")
    assert db.execute("SELECT count(*) FROM prompts").fetchone() == (1,)


@pytest.mark.parametrize("table", ["meta", "candidates", "evaluations", "commits", "attempts"])
def test_nothing_can_be_changed_or_removed(journal, tmp_path, table):
    fill(journal)
    db = sqlite3.connect(tmp_path / "journal.db")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute(f"DELETE FROM {table}")
    column = db.execute(f"SELECT name FROM pragma_table_info('{table}')").fetchone()[0]
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute(f"UPDATE {table} SET {column} = {column}")


def test_a_block_is_written_whole_or_not_at_all(journal):
    fill(journal)
    twice = [candidate(4, 2), candidate(2, 2)]
    with pytest.raises(JournalError):
        journal.write_block(Block(2, 2, 0, 0), twice, {})
    assert journal.block(2) is None
    assert [c.id for c in journal.candidates()] == [0, 1, 2, 3]


def test_a_truncated_file_is_called_damaged_and_left_alone(journal, tmp_path):
    for number in range(40):
        program = Program({"a.py": f"x = {number}\n" * 500})
        journal.write_block(
            Block(number, 0, 0, 0), [candidate(number, number, program=program)], {}
        )
    journal.close()
    path = tmp_path / "journal.db"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    damage = pytest.raises(JournalError, match=r"journal\.db: damaged .*Restore it")
    with damage, Journal(path) as damaged:
        damaged.check()
        list(damaged.candidates())
    assert path.read_bytes() == content[: len(content) // 2]


def test_other_files_are_refused(tmp_path):
    text = tmp_path / "notes.db"
    text.write_text("these are my notes, and no database\n" * 100)
    with pytest.raises(JournalError, match="damaged"):
        Journal(text)
    with pytest.raises(JournalError, match="no such journal"):
        Journal(tmp_path / "missing.db")
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE t (x)")
    with pytest.raises(JournalError, match="not a journal"):
        Journal(tmp_path / "other.db")
    later = sqlite3.connect(tmp_path / "later.db")
    later.execute("PRAGMA user_version = 999")
    later.close()
    with pytest.raises(JournalError, match="later version"):
        Journal(tmp_path / "later.db")


def test_an_existing_journal_is_never_overwritten(journal, tmp_path):
    with pytest.raises(JournalError, match="exists already"):
        Journal.create(tmp_path / "journal.db", {})


def test_network_disks_are_refused(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/vda / ext4 rw 0 0\n"
        f"server:/x {tmp_path}/far nfs4 rw 0 0\n"
        f"tmpfs {tmp_path}/far/near tmpfs rw 0 0\n"
    )
    assert file_system(tmp_path / "a", mounts) == "ext4"
    assert file_system(tmp_path / "far" / "near" / "a", mounts) == "tmpfs"
    refuse_network_disk(tmp_path / "far" / "near" / "journal.db", mounts)
    with pytest.raises(JournalError, match=r"nfs4.*run_dir"):
        refuse_network_disk(tmp_path / "far" / "journal.db", mounts)
