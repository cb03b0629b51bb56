"""The filter, executed by an interpreter of its byte code, for both architectures."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from sandbox.kernel import seccomp
from sandbox.kernel.seccomp import ALLOW, KEEPING, KILL, fail, own_filter, shared_filter
from sandbox.kernel.syscalls import ARCHITECTURES, architecture

PID = 4321
DENIED, UNKNOWN = fail(errno.EPERM), fail(errno.ENOSYS)


def decide(machine, name_or_number, *arguments, forks=False, audit=None):
    """What the kernel would do to a child: the stricter answer of its two filters."""
    call = (machine, name_or_number, arguments, audit)
    own = interpret(own_filter(machine, forks=forks), *call)
    shared = interpret(shared_filter(machine), *call)
    strictness = {KILL: 2, ALLOW: 0}
    # Of two that are as strict, the kernel takes the one that was installed last.
    return max(own, shared, key=lambda verdict: strictness.get(verdict, 1))


def interpret(compiled, machine, name_or_number, arguments=(), audit=None):
    """What one filter says, instruction by instruction."""
    number = name_or_number
    if isinstance(number, str):
        number = machine.numbers[number]
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("=iIQ6Q", number, audit or machine.audit, 0, *padded)
    program = list(struct.iter_unpack("=HBBI", compiled.packed(PID)))
    assert len(program) <= 4096
    accumulator, at = 0, 0
    while True:
        operation, true, false, constant = program[at]
        at += 1
        match operation:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, constant)
            case 0x54:
                accumulator &= constant
            case 0x05:
                at += constant
            case 0x15:
                at += true if accumulator == constant else false
            case 0x35:
                at += true if accumulator >= constant else false
            case 0x45:
                at += true if accumulator & constant else false
            case 0x06:
                return constant
            case _:
                raise AssertionError(f"unknown operation {operation:#x}")


@pytest.fixture(params=list(ARCHITECTURES))
def machine(request):
    return ARCHITECTURES[request.param]


def test_every_name_has_its_verdict(machine):
    for names, verdict in (
        (seccomp.ALLOWED, ALLOW),
        (seccomp.REFUSED, DENIED),
        (seccomp.DEADLY, KILL),
    ):
        for name in names:
            if name in machine.numbers and name not in ("open", "openat"):
                assert decide(machine, name) == verdict, name


def test_whatever_has_no_name_does_not_exist(machine):
    known = set(machine.numbers.values())
    for number in range(600):
        if number not in known:
            assert decide(machine, number) == UNKNOWN
    for number in (2000, 0x3FFFFFFF):
        assert decide(machine, number) == UNKNOWN


def test_other_architectures_and_abis_are_killed(machine):
    for audit in (0x40000003, 0xC00000B7, 0xC000003E, 0):
        if audit != machine.audit:
            assert decide(machine, "read", audit=audit or 1) == KILL
    if machine.name == "x86_64":
        assert decide(machine, 0x40000000) == KILL
        assert decide(machine, 0xFFFFFFF - 2**31) == KILL


def test_signals_go_to_oneself_only(machine):
    for name, target in (("kill", (PID, 15)), ("tgkill", (PID, PID + 1, 6))):
        assert decide(machine, name, *target) == ALLOW
        assert decide(machine, name, PID - 1, *target[1:]) == DENIED
        assert decide(machine, name, 0, *target[1:]) == DENIED
        assert decide(machine, name, 2**32 - 1, *target[1:]) == DENIED
        assert decide(machine, name, *target[:-1], 9) == DENIED


def test_threads_but_no_processes(machine):
    thread, process = 0x3D0F00, 0x01200011
    assert decide(machine, "clone", thread) == ALLOW
    assert decide(machine, "clone", process) == DENIED
    assert decide(machine, "clone", process, forks=True) == ALLOW
    assert decide(machine, "clone3", forks=True) == UNKNOWN
    for name in ("fork", "vfork"):
        if name in machine.numbers:
            assert decide(machine, name) == DENIED
            assert decide(machine, name, forks=True) == ALLOW
    assert decide(machine, "execve", forks=True) == DENIED


def test_arguments_decide(machine):
    truncate, write = 0o1000, 1
    assert decide(machine, "openat", 0, 0, truncate) == DENIED
    assert decide(machine, "openat", 0, 0, truncate | write) == ALLOW
    assert decide(machine, "openat", 0, 0, 0) == ALLOW
    assert decide(machine, "fcntl", 3, 8) == DENIED
    assert decide(machine, "fcntl", 3, 4) == ALLOW
    assert decide(machine, "ioctl", 0, 0x5401) == ALLOW
    assert decide(machine, "ioctl", 0, 0x5412) == fail(errno.ENOTTY)  # typing into a terminal
    assert decide(machine, "prctl", 15) == ALLOW
    assert decide(machine, "prctl", 1) == DENIED
    assert decide(machine, "prlimit64", 0) == ALLOW
    assert decide(machine, "prlimit64", PID + 1) == DENIED
    assert decide(machine, "socketpair", 1) == ALLOW
    assert decide(machine, "socketpair", 2) == DENIED


def test_a_zygote_can_do_its_work_and_nothing_else(machine):
    for name in KEEPING:
        if name in machine.numbers:
            assert interpret(shared_filter(machine), machine, name) == ALLOW, name
    for name, verdict in (("execve", DENIED), ("socket", DENIED), ("mount", KILL)):
        assert interpret(shared_filter(machine), machine, name) == verdict


def test_unknown_architectures_are_refused():
    with pytest.raises(OSError, match="no system call table for 'sparc64'"):
        architecture("sparc64")


@pytest.mark.parametrize(
    ("name", "header", "pattern"),
    [
        ("x86_64", "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", r"__NR_(\w+)\s+(\d+)"),
        ("aarch64", "/usr/include/asm-generic/unistd.h", r"__NR(?:3264)?_(\w+)\s+(\d+)"),
    ],
)
def test_numbers_are_those_of_the_kernels_headers(name, header, pattern):
    if not Path(header).exists():
        pytest.skip("no kernel headers installed")
    found = {n: int(k) for n, k in re.findall(r"#define " + pattern, Path(header).read_text())}
    found["newfstatat"] = found.get("newfstatat", found.get("fstatat", -1))
    numbers = ARCHITECTURES[name].numbers
    for call, number in numbers.items():
        if call in found:  # headers may be older than the youngest call
            assert found[call] == number, call
    assert len(set(numbers) & set(found)) > 250
