"""Signals are counted; what a launcher repeats counts once."""

import os
import signal

import pytest

from elm.sampler.interrupts import Interrupts


def test_each_signal_counts_and_the_handlers_come_back():
    before = signal.getsignal(signal.SIGINT)
    heard = []
    with Interrupts(heard.append).caught() as interrupts:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
    assert interrupts.count == 2 and heard == [1, 2]
    assert signal.getsignal(signal.SIGINT) is before


def test_what_a_launcher_says_after_the_terminal_is_the_same_signal():
    with Interrupts(merge=60.0).caught() as interrupts:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
    assert interrupts.count == 1


def test_what_is_raised_where_a_signal_is_told_ends_the_work():
    def told(count):
        if count > 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Interrupts(told).caught():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
