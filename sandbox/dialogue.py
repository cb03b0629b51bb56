"""Carries a judge's calls to a program and its answers back, both in processes of their own.

For programs that are heuristics: the judge runs the outer loop and asks the program what to do
next, in batches. Everything passes through here, so that an answer is measured and parsed before
the judge sees it, and each side's clock stands still in the other one's turn.
"""

from __future__ import annotations

import os
import select
import threading
from contextlib import suppress
from typing import Any, NamedTuple

from sandbox import frames
from sandbox.channel import Closed
from sandbox.judge import COUNT
from sandbox.launch import Process
from sandbox.protocol import Limits, Status
from sandbox.strict import NotPlain, parse
from sandbox.verdict import Verdict, one_line
from sandbox.watch import Stopwatch


class Answer(NamedTuple):
    """What became of asking a judge."""

    reply: dict[str, Any] | None = None  # what it said
    spent: str = ""  # the limit of its own that it has used up, as `Stopwatch.verdict` says it
    died: bool = False


class Dialogue(threading.Thread):
    """One conversation, in a thread beside the one that watches the program.

    Attributes:
        requests: the end of a pipe that the program reads calls from.
        answers: the end of a pipe that it writes answers to.
        programs_turn: whether the judge waits for the program.
        fault: what is wrong with the program's answers, if anything is.
        answer: what the judge said in the end.
    """

    def __init__(self, judge: Process, judge_limits: Limits, answer_bytes: int) -> None:
        super().__init__(name="dialogue", daemon=True)
        self.requests, self._to_program = os.pipe()
        self._from_program, self.answers = os.pipe()
        self.programs_turn = False
        self.fault: Verdict | None = None
        self.answer = Answer()
        self._judge, self._limits, self._answer_bytes = judge, judge_limits, answer_bytes

    def release(self) -> None:
        """The program has its two ends: close them here, so that its end can be seen."""
        for name in ("requests", "answers"):
            if getattr(self, name) >= 0:
                os.close(getattr(self, name))
                setattr(self, name, -1)

    def finish(self) -> None:
        """Waits until both sides have come to their end. The program must have ended."""
        self.release()
        if self.ident is not None:
            self.join()
        else:
            os.close(self._to_program)
            os.close(self._from_program)

    def run(self) -> None:
        """Until the judge has its result, or one of the two is no more."""
        asked, asking = os.pipe()
        answered, answering = os.pipe()
        try:
            try:
                self._judge.channel.send({"calls": True}, (asking, answered))
            finally:
                os.close(asking)
                os.close(answered)
            answering = self._converse(asked, answering)
        except (Closed, BrokenPipeError):
            self.answer = Answer(died=True)
        finally:
            for fd in (asked, answering, self._to_program, self._from_program):
                if fd >= 0:
                    os.close(fd)
            self.programs_turn = True  # to end, now that nobody asks any more

    def _converse(self, asked: int, answering: int) -> int:
        """Returns the end that answers go to, or -1 once it is closed."""
        clock = Stopwatch(self._limits)
        clock.follow(self._judge.pid)
        channel = self._judge.channel
        poll = select.poll()
        poll.register(channel.fileno(), select.POLLIN)
        poll.register(asked, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll(clock.next_tick() * 1000)}
            if asked in ready:
                batch = frames.read(asked)
                reply = None if batch is None or answering < 0 else self._put(batch)
                if batch is None:
                    poll.unregister(asked)
                elif reply is not None:
                    frames.write(answering, reply)
                elif answering >= 0:
                    os.close(answering)  # which tells the judge that the program is gone
                    answering = -1
            if channel.fileno() in ready:
                self.answer = Answer(channel.receive()[0])
                return answering
            spent = clock.verdict()
            if spent:
                self.answer = Answer(spent=spent)
                return answering

    def _put(self, batch: bytes) -> bytes | None:
        """The program's answers to a batch; None if there are none to be had."""
        (count,) = COUNT.unpack_from(batch)
        self.programs_turn = True
        try:
            with suppress(BrokenPipeError):
                frames.write(self._to_program, batch[COUNT.size :])
            reply = frames.read(self._from_program, self._answer_bytes)
            if reply is None:
                return None
            values = parse(reply)
        except frames.TooLong:
            detail = f"answers to one batch over {self._answer_bytes} bytes of JSON"
            self.fault = Verdict(Status.OUTPUT_LIMIT, detail)
            return None
        except NotPlain as error:
            self.fault = Verdict(Status.BAD_RESULT, one_line(str(error)))
            return None
        finally:
            self.programs_turn = False
        if not isinstance(values, list) or len(values) != count:
            self.fault = Verdict(Status.BAD_RESULT, f"expected {count} answers")
            return None
        return reply
