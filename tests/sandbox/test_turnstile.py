"""Places of a node, and processors for them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from sandbox.affinity import settle
from sandbox.turnstile import Turnstile


def test_no_more_at_one_time_than_there_are_places_and_no_place_twice():
    turnstile, inside, most, wrong = Turnstile(3), set(), [0], []

    def work() -> None:
        for _ in range(50):
            place = turnstile.enter()
            if place in inside or not 0 <= place < 3:
                wrong.append(place)
            inside.add(place)
            most[0] = max(most[0], len(inside))
            time.sleep(0.0001)
            inside.discard(place)
            turnstile.leave(place)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert most[0] == 3


def test_who_has_waited_longest_comes_first():
    turnstile, order = Turnstile(1), []
    place = turnstile.enter()

    def wait(number: int) -> None:
        mine = turnstile.enter()
        order.append(number)
        turnstile.leave(mine)

    threads = []
    for number in range(5):
        threads.append(threading.Thread(target=wait, args=(number,)))
        threads[-1].start()
        time.sleep(0.02)
    turnstile.leave(place)
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_a_slot_stays_on_the_processor_of_its_place():
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip("one processor only")
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        for place in (1, 0, len(cores) + 1):
            settle([sleeper.pid, 2**22 + 1], place)
            assert os.sched_getaffinity(sleeper.pid) == {cores[place % len(cores)]}
    finally:
        sleeper.kill()
        sleeper.wait()
    assert sorted(os.sched_getaffinity(0)) == cores
