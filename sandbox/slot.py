"""One warm zygote and one judge: evaluates one program at a time, whatever it does."""

from __future__ import annotations

import json
import os
import select
import signal
import tempfile
from collections.abc import Collection
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from sandbox import jail, verdict
from sandbox.box import used_bytes, wipe
from sandbox.channel import Closed, memory_file
from sandbox.dialogue import Answer, Dialogue
from sandbox.kernel import namespaces
from sandbox.launch import Process, Refused, SandboxError, hidden_folders, import_path
from sandbox.protocol import Bundle, Evaluation, Scoring, Status, Task
from sandbox.verdict import Verdict
from sandbox.watch import Outcome, Stopwatch, Watch

__all__ = ["SandboxError", "Slot"]


class Slot:
    """Evaluates programs of one bundle. Not shared between threads; any number side by side.

    Attributes:
        level: the jail level in force, once started.
        pids: the process ids of the zygote and the judge.
        blameless: whether the last evaluation was lost for a reason in which the program surely
            had no part. A victim of the machine's memory killer may have been its cause.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        level: str = "auto",
        node: str = "local",
        index: int = 0,
        without: Collection[str] = (),
    ) -> None:
        """Args:
            bundle: what to execute and how to score it.
            level: "auto" for the best of L3 and L2 that the machine has, or one of `jail.LEVELS`.
            node: stamped into every evaluation.
            index: which slot of its node this is.
            without: layers of `jail.LAYERS` to leave out, for tests of what each of them is good
                for. Whatever its level, such a slot stamps its evaluations with "L0".

        Raises:
            ValueError: if there is no such level or layer.
        """
        for layer in without:
            if layer not in jail.LAYERS:
                raise ValueError(f"no layer {layer!r}: expected {', '.join(jail.LAYERS)}")
        if level != "auto" and level not in jail.LEVELS:
            known = ", ".join(jail.LEVELS)
            raise ValueError(f"no jail level {level!r}: expected auto, {known}")
        self.bundle = bundle
        self.node = node
        self.index = index
        self.level = level
        self.blameless = False
        self._without = tuple(without)
        self._wanted = level
        self._digest = bundle.digest
        self._box: Path | None = None
        self._zygote: Process | None = None
        self._judge: Process | None = None

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by role, of what is alive."""
        roles = {"zygote": self._zygote, "judge": self._judge}
        return {role: process.pid for role, process in roles.items() if process is not None}

    def start(self) -> None:
        """Bring zygote and judge up.

        Raises:
            SandboxError: one line: the level is not supported here, a module is missing, the
                bundle's code does not import.
        """
        levels = jail.AUTO if self._wanted == "auto" else (self._wanted,)
        refusals = []
        for level in levels:
            self.level = level
            try:
                self._start_missing()
                return
            except Refused as refusal:
                refusals.append(f"{level}: {refusal}")
        reasons = "; ".join(refusals)
        hint = "; level L1 has to be asked for" if self._wanted == "auto" else ""
        raise SandboxError(f"no jail of level {self._wanted} on this machine ({reasons}){hint}")

    def _start_missing(self) -> None:
        """Start what is not running. Both start side by side: imports take most of the time."""
        new = []
        if self._zygote is None:
            self._zygote = Process("zygote", self._config_of_zygote())
            new.append(self._zygote)
        if self._judge is None and self.bundle.judge is not None:
            self._judge = Process("judge", self._config_of_judge())
            new.append(self._judge)
        try:
            for process in new:
                process.wait_until_ready(self.bundle.environment)
        except BaseException:
            self.close()
            raise

    def _drop_dead(self) -> None:
        """Whoever died while idle took nothing along."""
        if self._zygote is not None and not self._zygote.is_alive():
            self._drop_zygote()
        if self._judge is not None and not self._judge.is_alive():
            self._drop_judge()

    def _config(self) -> dict[str, Any]:
        return {"level": self.level, "path": import_path(), "hidden": hidden_folders()} | {
            "without": self._without
        }

    def _config_of_zygote(self) -> dict[str, Any]:
        return self._config() | {
            "code": msgspec.to_builtins(self.bundle.producer),
            "preload": self.bundle.preload,
            "settings": self.bundle.producer_settings,
            "box": self._make_box(),
            "file_bytes": self.bundle.limits.file_bytes,
            "limits": msgspec.to_builtins(self.bundle.limits),
        }

    def _config_of_judge(self) -> dict[str, Any]:
        return self._config() | {
            "code": msgspec.to_builtins(self.bundle.judge),
            "preload": (),
            "settings": self.bundle.judge_settings,
            "box": None,
            "file_bytes": 0,
            "memory_mb": self.bundle.judge_limits.memory_mb,
        }

    def _make_box(self) -> str:
        """A folder for programs to write to; in memory where possible. Inside namespaces: none."""
        self._remove_box()
        if "namespaces" in jail.layers(self.level, self._without):
            return namespaces.BOX
        memory = Path("/dev/shm")
        home = memory if os.access(memory, os.W_OK) else None
        self._box = Path(tempfile.mkdtemp(prefix=f"elm-slot-{os.getpid()}-", dir=home))
        return str(self._box)

    def _remove_box(self) -> None:
        if self._box is not None:
            with suppress(FileNotFoundError):  # the zygote was quicker
                wipe(self._box)
                self._box.rmdir()
            self._box = None

    def evaluate(self, task: Task) -> Evaluation:
        """Execute and judge one program. Never raises for what a program does.

        Returns:
            An evaluation with the status `lost` if zygote or judge died of something else than
            this program, or do not come up again; the next call starts what is missing.

        Raises:
            SandboxError: if the task is of another bundle.
        """
        if task.bundle != self._digest:
            raise SandboxError(f"task of bundle {task.bundle[:12]}, slot of {self._digest[:12]}")
        self._drop_dead()
        self.blameless = False
        try:
            self._start_missing()
        except SandboxError as error:
            unable = Verdict(Status.LOST, str(error), blame=False)
            return self._evaluation(task, unable, Outcome())
        try:
            outcome, dialogue = self._execute(task)
            if self.level == "L1" and outcome.died_of_sigkill:
                # Nothing there keeps a program from killing itself: ask it a second time.
                outcome, dialogue = self._execute(task)
                outcome.repeated = True
        except SandboxError as error:
            return self._evaluation(task, Verdict(Status.LOST, str(error)), Outcome())
        jailed = "landlock" in jail.layers(self.level)
        found = verdict.of(outcome, self.bundle.limits, jailed)
        scored: dict[str, Any] = {}
        if dialogue is not None:
            found, scored = self._end(dialogue, found)
        elif found.status is Status.OK:
            found, scored = self._score(found)
        return self._evaluation(task, found, outcome, scored)

    def _evaluation(
        self, task: Task, found: Verdict, outcome: Outcome, scored: dict[str, Any] | None = None
    ) -> Evaluation:
        self.blameless = found.status is Status.LOST and not found.blame
        return Evaluation(
            candidate=task.candidate,
            status=found.status,
            detail=found.detail,
            artifact=found.artifact,
            logs=outcome.output.decode("utf-8", "replace"),
            cpu_seconds=outcome.cpu_seconds,
            wall_seconds=outcome.wall_seconds,
            peak_memory_mb=outcome.peak_mb,
            level="L0" if self._without else self.level,
            node=self.node,
            **(scored or {}),
        )

    def _execute(self, task: Task) -> tuple[Outcome, Dialogue | None]:
        assert self._zygote is not None
        dialogue = None
        if self.bundle.scoring is Scoring.CALLS:
            assert self._judge is not None
            limits = self.bundle.limits
            dialogue = Dialogue(self._judge, self.bundle.judge_limits, limits.artifact_bytes)
        payload = memory_file(json.dumps(task.files).encode())
        message = {"seed": task.seed, "portion": task.portion}
        disk_use = partial(used_bytes, self._box) if self._box else None
        try:
            enforces = "watcher" not in self._without
            watch = Watch(self._zygote.channel, self.bundle.limits, disk_use, enforces=enforces)
            outcome = watch.execute(message, payload, dialogue)
        finally:
            os.close(payload)
            if dialogue is not None:
                dialogue.finish()
        if outcome.broken:
            self._drop_zygote()
        return outcome, dialogue

    def _drop_zygote(self) -> None:
        assert self._zygote is not None
        self._zygote.kill()
        self._zygote = None

    def _score(self, found: Verdict) -> tuple[Verdict, dict[str, Any]]:
        """The verdict after the judge has had its say, and the fields that it adds."""
        if self.bundle.scoring is Scoring.INSIDE:
            return self._score_claim(found)
        return self._judged(found, self._ask_judge(found.document))

    def _score_claim(self, found: Verdict) -> tuple[Verdict, dict[str, Any]]:
        """A score from the program's own process: counts where nobody can compute it again."""
        claim = found.artifact if isinstance(found.artifact, dict) else {"": found.artifact}
        artifact = claim.pop("artifact", None)
        try:
            claimed = verdict.score(claim)
        except verdict.BadScore as error:
            return found._replace(status=Status.BAD_RESULT, detail=f"claim: {error}"), {}
        found = found._replace(artifact=artifact)
        if self.bundle.judge is None:
            return found, claimed | {"verified": False}
        found, scored = self._judged(found, self._ask_judge(json.dumps(artifact).encode()))
        if scored:
            scored["metrics"] = {"claimed": claimed["fitness"], **scored["metrics"]}
        return found, scored

    def _end(self, dialogue: Dialogue, found: Verdict) -> tuple[Verdict, dict[str, Any]]:
        """The verdict on a program that has answered a judge's calls."""
        if found.status is not Status.OK or dialogue.fault:
            if dialogue.answer.reply is None:
                self._drop_judge()  # it is still at it, or dead
            return (found if found.status is Status.LOST else dialogue.fault or found), {}
        reply = dialogue.answer.reply or {}
        if "gone" in reply:
            return found._replace(status=Status.BAD_RESULT, detail="stopped answering"), {}
        if isinstance(reply.get("result"), dict):
            found = found._replace(artifact=reply["result"].pop("artifact", None))
        return self._judged(found, dialogue.answer)

    def _ask_judge(self, document: bytes) -> Answer:
        assert self._judge is not None
        judge = self._judge
        payload = memory_file(document)
        try:
            judge.channel.send({}, (payload,))
            clock = Stopwatch(self.bundle.judge_limits)
            clock.follow(judge.pid)
            poll = select.poll()
            poll.register(judge.channel.fileno(), select.POLLIN)
            while not poll.poll(clock.next_tick() * 1000):
                spent = clock.verdict()
                if spent:
                    return Answer(spent=spent)
            return Answer(judge.channel.receive()[0])
        except Closed:
            return Answer(died=True)
        finally:
            os.close(payload)

    def _judged(self, found: Verdict, answer: Answer) -> tuple[Verdict, dict[str, Any]]:
        if answer.died:
            return self._judge_died(found), {}
        if answer.reply is None:
            self._drop_judge()
            return self._judge_overran(found, answer.spent), {}
        reply = answer.reply
        if "bad" in reply:
            return found._replace(
                status=Status.BAD_RESULT, detail=verdict.one_line(reply["bad"])
            ), {}
        if "broken" in reply:
            detail = verdict.one_line(reply["broken"])
            return found._replace(status=Status.JUDGE_ERROR, detail=detail), {}
        try:
            return found, verdict.score(reply["result"])
        except verdict.BadScore as error:
            return found._replace(status=Status.JUDGE_ERROR, detail=f"judge: {error}"), {}

    def _judge_overran(self, found: Verdict, spent: str) -> Verdict:
        limits = self.bundle.judge_limits
        if spent == "stalled":
            detail = "the machine is too busy to judge"
            return found._replace(status=Status.LOST, detail=detail, blame=False)
        what = {"cpu": f"{limits.cpu_seconds:g} s of CPU", "wall": f"{limits.wall_seconds:g} s"}
        return found._replace(status=Status.JUDGE_ERROR, detail=f"judge over {what[spent]}")

    def _judge_died(self, found: Verdict) -> Verdict:
        status = self._drop_judge()
        if status == -signal.SIGKILL:
            return found._replace(status=Status.LOST, detail="the judge was killed from outside")
        return found._replace(status=Status.JUDGE_ERROR, detail=f"judge ended with status {status}")

    def _drop_judge(self) -> int:
        assert self._judge is not None
        status = self._judge.kill()
        self._judge = None
        return status

    def close(self) -> None:
        """End everything; no process, descriptor or file stays behind. May be called twice."""
        for process in (self._zygote, self._judge):
            if process is not None:
                process.kill()
        self._zygote = self._judge = None
        self._remove_box()
