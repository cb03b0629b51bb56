"""The section `samplers`, and the variables of a launcher."""

import os

import pytest

from elm.sampler.rank import SamplerError, current, settle
from elm.sampler.settings import read

LAUNCHED = {
    "RANK": "3",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "4",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "10.0.0.1",
    "MASTER_PORT": "29500",
    "TORCHELASTIC_USE_AGENT_STORE": "True",
    "TORCHELASTIC_RUN_ID": "none",
    "TORCHELASTIC_RESTART_COUNT": "2",
}


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"her": 1}, "samplers.her: no such setting, did you mean 'here'?"),
        ({"here": 2}, "samplers.here must be 0 or 1, got 2"),
        ({"most": 0}, "samplers.most: expected int >= 1, got 0"),
        ({"patience": "long"}, "samplers.patience: expected float, got 'long'"),
        ({"patience": 1, "heartbeat": 1}, "samplers.patience must be at least two heartbeats"),
        ({"listen": "host:1"}, "samplers.listen must be tcp://host:port"),
        ({"listen": "tcp://*:1"}, "samplers.keys: samplers.listen needs a folder"),
        ({"listen": "tcp://*:1", "keys": "k"}, "samplers.enrolled: samplers.listen needs"),
        ({"listen": "tcp://*:1", "keys": "k", "enrolled": "/nowhere"}, "/nowhere is no folder"),
        ({"enrolled": "/"}, "samplers.enrolled: nobody can join without samplers.listen"),
    ],
)
def test_a_wrong_setting_is_one_line_with_its_key(section, says):
    with pytest.raises(ValueError) as caught:
        read(section)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_a_free_port_and_all_addresses(tmp_path):
    section = {"keys": "k", "enrolled": str(tmp_path)}
    assert read({"listen": "tcp://0.0.0.0:0", **section}).door == "tcp://*:*"
    assert read({}).door is None


@pytest.fixture
def launched(monkeypatch):
    for name, value in LAUNCHED.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_a_process_alone_is_no_rank(launched):
    launched.setenv("WORLD_SIZE", "1")
    assert current() is None
    launched.delenv("WORLD_SIZE")
    assert current() is None


def test_a_rank_knows_its_place(launched):
    rank = current()
    assert rank is not None
    assert (rank.number, rank.local, rank.world, rank.local_world) == (3, 1, 4, 2)
    assert rank.agent_store and not rank.single_machine
    launched.setenv("TORCHELASTIC_RESTART_COUNT", "3")
    again = current()
    assert again is not None and again.nonce != rank.nonce


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("RANK", "x", "RANK must be a number, got 'x'"),
        ("RANK", "4", "RANK is 4, but WORLD_SIZE is 4"),
        ("LOCAL_RANK", None, "LOCAL_RANK must be a number, got None"),
        ("MASTER_ADDR", None, "MASTER_ADDR or MASTER_PORT is not"),
    ],
)
def test_variables_that_are_wrong_are_one_line(launched, name, value, says):
    if value is None:
        launched.delenv(name)
    else:
        launched.setenv(name, value)
    with pytest.raises(SamplerError) as caught:
        current()
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("visible", "own"), [("0,1,2,3", "2,3"), ("4,5", "5"), ("7", "7"), ("GPU-a,GPU-b", "GPU-b")]
)
def test_each_rank_has_its_own_share_of_the_devices(launched, visible, own):
    launched.setenv("CUDA_VISIBLE_DEVICES", visible)
    rank = current()
    assert rank is not None
    settle(rank)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == own
    assert current() is None, "no library may form a process group"
