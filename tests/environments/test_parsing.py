"""Threads that parse at the same time do not disturb one another."""

import gc
import inspect
import sys
import threading

from environments import base, parsing


def test_two_threads_parse_while_garbage_is_collected():
    text, wrong = inspect.getsource(base), []

    def work():
        try:
            for _ in range(60):
                parsing.parse(text)
        except BaseException as error:
            wrong.append(error)

    def dawdle(*_):  # so that threads take turns in the midst of a collection
        for _ in range(50):
            pass

    interval = sys.getswitchinterval()
    gc.callbacks.append(dawdle)
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
        gc.callbacks.remove(dawdle)
    assert wrong == []
