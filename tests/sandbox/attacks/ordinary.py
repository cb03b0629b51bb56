"""All attacks as an ordinary user: `python -m attacks.ordinary LEVEL FOLDER`, begun by root.

Prints one JSON object: what went wrong with each attack, "" where it was held.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from attacks import ATTACKS
from sandbox.kernel import syscalls

NOBODY = 65534
_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parents[2]
_NEW_MOUNTS, _BIND, _REC, _PRIVATE = 0x00020000, 4096, 16384, 1 << 18


def run(level: str, folder: Path) -> dict[str, str]:
    """Run this module as an ordinary user; the caller is root.

    Raises:
        RuntimeError: with the last line that it said, if it did not come to its end.
    """
    folder.chmod(0o777)
    done = subprocess.run(
        [sys.executable, "-B", "-m", "attacks.ordinary", level, str(folder)],
        cwd="/",
        env={"PYTHONPATH": f"{_ROOT}:{_HERE.parent}", "PATH": os.environ.get("PATH", "")},
        capture_output=True,
        text=True,
        timeout=200,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip().splitlines()[-1:] or done.returncode)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def become_nobody(folder: Path) -> None:
    """Give root away, and keep in sight what is needed even where it lies in root's own folder."""
    syscalls.unshare(_NEW_MOUNTS)
    syscalls.mount("none", "/", None, _REC | _PRIVATE)
    needed = {_ROOT, folder, *map(Path, (sys.prefix, sys.base_prefix))}
    needed |= {Path(entry).resolve() for entry in sys.path if Path(entry).exists()}
    shut: dict[Path, list[Path]] = {}
    for path in sorted(needed):
        for parent in reversed(path.parents):
            if not parent.stat().st_mode & 0o001:
                shut.setdefault(parent, []).append(path)
                break
    for parent, paths in shut.items():
        shown = [(path, os.open(path, os.O_PATH)) for path in paths]
        syscalls.mount("tmpfs", str(parent), "tmpfs", 0, "mode=755,size=1m")
        for path, fd in shown:
            if not path.exists():  # as part of another that was shown before
                path.mkdir(parents=True)
                syscalls.mount(f"/proc/self/fd/{fd}", str(path), None, _BIND | _REC)
            os.close(fd)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def trial(level: str, folder: Path) -> dict[str, str]:
    """Make every attack in two worlds: with and without children allowed."""
    from attacks.world import World

    found = {}
    for processes in sorted({attack.processes for attack in ATTACKS}):
        own = folder / f"world-{processes}"
        own.mkdir()
        world = World(own, level, processes=processes)
        for attack in ATTACKS:
            if attack.processes == processes and attack.reaches(level):
                try:
                    world.hold(attack)
                    found[f"{attack.subject}: {attack.name}"] = ""
                except AssertionError as error:
                    found[f"{attack.subject}: {attack.name}"] = str(error) or "failed"
                    world.restore()
        world.close()
    return found


if __name__ == "__main__":
    become_nobody(Path(sys.argv[2]))
    # A process that gave root away is not dumpable, and so may not look at itself: begin anew.
    code = (
        "import json, sys; from pathlib import Path; from attacks.ordinary import trial; "
        "print(json.dumps(trial(sys.argv[1], Path(sys.argv[2]))))"
    )
    os.execv(sys.executable, [sys.executable, "-B", "-c", code, *sys.argv[1:]])
