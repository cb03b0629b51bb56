"""What a user gets wrong: one line that names it, an exit code that is not 0, nothing lost."""

import os
import shutil

import pytest

FAST = ("environment=string", "budget.evaluations=40", "report=false")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["environment=sodarce"], "environment: no 'sodarce', did you mean 'sodarace'"),
        (["budgt.evaluations=3"], "budgt.evaluations: no such setting, did you mean"),
        (["budget.evaluations=0"], "budget.evaluations: expected int >= 1, got 0"),
        (["budget.evaluations=many"], "budget.evaluations: expected int"),
        (["budget.evaluations=null"], "only budget.evaluations or budget.seconds can end this run"),
        (["seed"], "seed: not of the form key=value"),
        (["dispatch.slots=0"], "dispatch.slots"),
        (["dispatch.level=L9"], "dispatch.level"),
        (["archive.out_of_range=clamp"], "archive.out_of_range"),
        (["archive.depth=0"], "archive.depth"),
        (["search.selection=best"], "search.selection"),
        (["environment=sodarace", "model=none", "environment.seconds=0"], "environment.seconds"),
        (["variation=prompt", "model=none"], "variation"),
        (["+environment.limits.cpu_seconds=0"], "limits.cpu_seconds must be above 0"),
        (["+environment.limits.cpu=1"], "environment.limits.cpu: no such limit"),
        (["model=transformers", "variation=prompt"], "model.name: this setting is needed"),
        (["order=arival"], "order: expected one of committed, arrival, got 'arival', did you mean"),
        (["samplers.lisen=3"], "samplers.lisen: no such setting, did you mean"),
        (["samplers.patience=0"], "samplers.patience: expected float > 0.0, got 0"),
        (["samplers.listen=tcp://*:0"], "samplers.keys: samplers.listen needs a folder"),
        (["model=smollm2", "variation=prompt", "model.engine=continuous"], "order=arrival only"),
        (["variation=mixed", "model=none"], "variation.operators.prompt"),
        (["resume=true", "run_name=missing"], "no run to resume"),
    ],
)
def test_one_line_names_the_key(elm, words, said):
    done = elm(*FAST, *words, code=1 if "resume=true" in words else 2)
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not elm.runs.exists(), "nothing is created before everything is checked"


def test_an_existing_run_is_not_overwritten(elm):
    elm(*FAST, "run_name=mine")
    before = (elm.runs / "mine" / "journal.db").read_bytes()
    done = elm(*FAST, "run_name=mine", code=1)
    assert "mine: exists already" in done.stderr and "resume=true" in done.stderr
    assert (elm.runs / "mine" / "journal.db").read_bytes() == before


def test_resume_with_another_environment_names_the_key(elm):
    elm(*FAST, "run_name=mine")
    done = elm("environment=function", "run_name=mine", "resume=true", code=1)
    assert "environment." in done.stderr and "string" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_damaged_journal_is_named_and_left_alone(elm):
    elm(*FAST, "run_name=mine", "budget.evaluations=200")
    path = elm.runs / "mine" / "journal.db"
    content = bytearray(path.read_bytes())
    content[8192:40960] = os.urandom(32768)
    path.write_bytes(content)
    done = elm(*FAST, "run_name=mine", "resume=true", code=1)
    assert "journal.db: damaged" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert path.read_bytes() == bytes(content)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_ends_the_run_with_one_line_and_it_resumes(elm, tmp_path):
    import subprocess

    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", small])
    if mounted.returncode:
        pytest.skip("cannot mount a tmpfs here")
    try:
        words = ("environment=string", "budget.evaluations=4000", "report=false", "run_name=full")
        done = elm(*words, f"run_dir={small}", code=1)
        assert "no room on the disk" in done.stderr and "resume=true" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        shutil.copytree(small / "full", elm.runs / "full")
    finally:
        subprocess.run(["umount", small], check=True)
    elm(*words, "resume=true", "budget.evaluations=600")
    elm("environment=string", "budget.evaluations=600", "report=false", "run_name=whole")
    full, whole = elm.summary("full"), elm.summary("whole")
    assert full["evaluations"] == 600 and full["resumed"] == 1
    assert full["archive_sha256"] == whole["archive_sha256"], "something was lost or counted twice"
