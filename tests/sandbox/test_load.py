"""The load of a node, from readings that are given."""

from pathlib import Path

import pytest

from sandbox.load import Load


def stat(busy: int, idle: int, running: int) -> str:
    return f"cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu0 1\ncpu1 1\nprocs_running {running}\n"


def test_share_of_time_then_those_who_wait(tmp_path: Path):
    file = tmp_path / "stat"
    file.write_text(stat(100, 100, 1))
    load = Load(file)
    file.write_text(stat(150, 250, 1))
    assert load.read(10.0) == pytest.approx(0.25)
    file.write_text(stat(900, 250, 9))
    assert load.read(10.5) == pytest.approx(0.25), "within the period nothing is measured"
    busy = 150
    for second in range(11, 40):
        busy += 200
        file.write_text(stat(busy, 250, 8))
        found = load.read(float(second))
    assert found == pytest.approx(4.0, abs=0.1), "eight want two processors"


def test_without_the_file_the_load_average_stands_in(tmp_path: Path):
    assert Load(tmp_path / "missing").read(1.0) >= 0.0


def test_this_machine():
    load = Load()
    assert 0.0 <= load.read(1e9) < 1000 and load.cores >= 1
