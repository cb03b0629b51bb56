"""`python -m sandbox doctor`: what jail this machine supports, found out by trying.

Each primitive is tried in a throw-away child, since a kernel may offer a call and then refuse what
it is for (Ubuntu 24.04 grants a user namespace and denies mounts inside). Then a hostile program is
executed in a real slot at each level, and says what it could reach.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.jail import AUTO, LEVELS
from sandbox.kernel import landlock, namespaces, seccomp, syscalls
from sandbox.protocol import Bundle, Code, Limits, Status, Task
from sandbox.slot import SandboxError, Slot

_PRODUCER = """
def produce(files, settings):
    namespace = dict(settings)
    exec(compile(files["canary.py"], "canary.py", "exec"), namespace)
    return namespace["reached"]
"""
_JUDGE = """
def judge(artifact, settings):
    return {"fitness": -float(len(artifact)), "descriptor": []}
"""

# Where a table of system calls has been run; the others are compared with the kernel's headers and
# executed by an interpreter of filters, which is no proof.
_HARDWARE = {"x86_64": "run on hardware"}

# Tries what no program may do; `reached` is what worked.
CANARY = """
import os, socket, sys
reached = []

def attempt(name, action):
    try:
        if action() is not False:
            reached.append(name)
    except (OSError, ImportError):
        pass

def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)

attempt("read a file of another program", lambda: open(secret).read())
attempt("write beside its own folder", lambda: open(outside, "w").close())
attempt("change permissions", lambda: os.chmod(secret, 0o644))
attempt("open a network socket", lambda: socket.create_connection(("127.0.0.1", port), 1).close())
attempt("start a process", fork)
attempt("execute a command", lambda: os.posix_spawn("/bin/true", ["true"], {}))
attempt("signal its keeper", lambda: os.kill(keeper, 0))
attempt("see the environment of its keeper", lambda: open(f"/proc/{keeper}/environ").read())
attempt("import a judge", lambda: __import__("environments.base"))
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--require", choices=LEVELS, default="L2", help="exit 1 below this level")


def main(arguments: argparse.Namespace) -> int:
    """Print the findings; 0 if the required level is there and holds."""
    report = examine()
    best = report["level"]
    enough = best is not None and LEVELS.index(best) >= LEVELS.index(arguments.require)
    report["required"], report["ok"] = arguments.require, enough
    print(json.dumps(report, indent=2) if arguments.json else _table(report))
    return 0 if enough else 1


def examine() -> dict[str, Any]:
    """All findings: the machine, each primitive, a live trial at each level, the best level."""
    primitives = {name: _in_a_child(probe) for name, (probe, _) in PROBES.items()}
    levels = {level: _trial(level) for level in LEVELS}
    holding = [level for level in AUTO if levels[level]["holds"]]
    if not holding and levels["L1"]["starts"]:
        holding = ["L1"]
    return {
        "machine": {
            "kernel": platform.release(),
            "architecture": platform.machine(),
            "python": platform.python_version(),
            "user": os.geteuid(),
        },
        "tables": {name: _tried(name) for name in syscalls.ARCHITECTURES},
        "primitives": primitives,
        "levels": levels,
        "level": holding[0] if holding else None,
        "advice": [PROBES[name][1] for name, found in primitives.items() if not found["works"]],
    }


def _tried(architecture: str) -> str:
    """Whether the system call table of an architecture has ever met such a processor."""
    if architecture == platform.machine():
        return "in use here"
    return _HARDWARE.get(architecture, "not run on hardware: checked by an interpreter alone")


def _in_a_child(probe: Callable[[], str]) -> dict[str, Any]:
    """Try a primitive where it can do no harm to this process."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            answer = {"works": True, "detail": probe()}
        except Exception as error:
            answer = {"works": False, "detail": str(error)}
        os.write(writing, json.dumps(answer).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return json.loads(text) if text else {"works": False, "detail": f"child ended with {status}"}


def _probe_handles() -> str:
    os.close(os.memfd_create("probe"))
    fd = os.pidfd_open(os.getpid())
    signal.pidfd_send_signal(fd, 0)
    return "memory files, process descriptors"


def _probe_landlock() -> str:
    version = landlock.version()
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    landlock.restrict(landlock.ruleset([]))
    try:
        list(Path("/").iterdir())
    except PermissionError:
        return f"version {version}"
    raise OSError("accepted, but a folder is still readable")


def _probe_seccomp() -> str:
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    machine = syscalls.architecture()
    for part in (seccomp.shared_filter(machine), seccomp.own_filter(machine, forks=False)):
        seccomp.install(part.packed(os.getpid()))
    try:
        socket.socket()
    except PermissionError:
        return machine.name
    raise OSError("accepted, but a socket can still be opened")


def _probe_namespaces() -> str:
    namespaces.enter(["/usr/lib"], ["/dev/null"], [], 1 << 20)
    inside = sorted(entry.name for entry in Path("/").iterdir())
    if os.getpid() != 1 or "proc" in inside:
        raise OSError(f"not in a world of its own: pid {os.getpid()}, root {inside}")
    return "user, process, network, mount, IPC, host name, pivot_root"


PROBES: dict[str, tuple[Callable[[], str], str]] = {
    "handles": (_probe_handles, "handles: needs Linux 5.4 or newer"),
    "landlock": (
        _probe_landlock,
        "landlock: needs Linux 5.13 or newer with 'landlock' in the boot parameter lsm=; in a "
        "container, a seccomp profile that allows the three landlock_* calls",
    ),
    "seccomp": (
        _probe_seccomp,
        "seccomp: needs CONFIG_SECCOMP_FILTER, on x86-64 or aarch64",
    ),
    "namespaces": (
        _probe_namespaces,
        "namespaces: needs user.max_user_namespaces above 0; on Ubuntu an AppArmor profile for "
        "this Python interpreter with the rule 'userns,'; in a container, a profile that allows "
        "unshare, mount and pivot_root (L2 needs none of this)",
    ),
}


def _trial(level: str) -> dict[str, Any]:
    """Execute the canary at one level, in a slot as it is used in earnest."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        secret, outside = Path(folder, "secret"), Path(folder, "outside")
        secret.write_text("secret")
        settings = {
            "secret": str(secret),
            "outside": str(outside),
            "port": server.getsockname()[1],
            "keeper": os.getpid(),
        }
        bundle = Bundle(
            environment="doctor",
            producer=Code("producer", {"producer": _PRODUCER}),
            judge=Code("judge", {"judge": _JUDGE}),
            producer_settings=settings,
            limits=Limits(),
        )
        slot = Slot(bundle, level=level)
        try:
            slot.start()
            found = slot.evaluate(Task(0, bundle.digest, {"canary.py": CANARY}, 0))
        except SandboxError as error:
            return {"starts": False, "holds": False, "detail": str(error), "reached": []}
        finally:
            slot.close()
    ran = found.status is Status.OK
    return {
        "starts": ran,
        "holds": ran and not found.artifact,
        "detail": found.detail,
        "reached": found.artifact if ran else [],
    }


def _table(report: dict[str, Any]) -> str:
    machine = report["machine"]
    lines = [
        f"Linux {machine['kernel']} on {machine['architecture']}, Python {machine['python']}, "
        f"user {machine['user']}",
        "",
    ]
    for name, found in report["primitives"].items():
        lines.append(f"  {name:<12}{'works' if found['works'] else 'FAILS':<8}{found['detail']}")
    lines.append("")
    for level, trial in report["levels"].items():
        word = "holds" if trial["holds"] else "leaks" if trial["starts"] else "fails"
        said = trial["detail"] or ", ".join(trial["reached"])
        lines.append(f"  {level:<12}{word:<8}{said}")
    lines.append("")
    for name, tried in report["tables"].items():
        lines.append(f"  {name:<12}{'table':<8}{tried}")
    lines += ["", *report["advice"]]
    lines.append(
        f"best level {report['level']}, required {report['required']}: "
        + ("fine" if report["ok"] else "NOT ENOUGH")
    )
    return "\n".join(lines)
