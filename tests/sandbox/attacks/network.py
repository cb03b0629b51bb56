"""Anything that leads out: sockets, shared memory, queues."""

from attacks.attack import CALL, Subject

# fmt: off
subject = Subject("network")
add = subject.add
SOCKET = "import socket as s"

for name, body in (
    ("connects", "s.create_connection(('127.0.0.1', PORT), 1)"),
    ("listens", "s.create_server(('', 0))"),
    ("datagram", "s.socket(s.AF_INET, s.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT))"),
    ("connects by IPv6", "s.create_connection(('::1', PORT), 1)"),
    ("raw packets", "s.socket(s.AF_INET, s.SOCK_RAW, 1)"),
    ("packets of the wire", "s.socket(s.AF_PACKET, s.SOCK_RAW)"),
    ("asks for a name", "s.getaddrinfo('localhost', 80, type=s.SOCK_STREAM) and s.socket()"),
    ("fetches a page", "import urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{PORT}')"),
    ("virtual machine's socket", "s.socket(40, s.SOCK_STREAM)"),
    ("socket pair of another family", "s.socketpair(s.AF_INET)"),
):
    add(name, "seccomp", body, top=SOCKET)
for name, body in (
    ("socket of a name in its box", "s.socket(s.AF_UNIX)"),
    ("netlink", "s.socket(s.AF_NETLINK, s.SOCK_RAW)"),
    ("cryptography of the kernel", "s.socket(s.AF_UNIX, s.SOCK_DGRAM)"),
):
    add(name, "seccomp", body, top=SOCKET, alone="L3")
add("abstract socket", "seccomp", "s.socket(s.AF_UNIX).bind('\\0elm-leak')", top=SOCKET)
add("shared memory by name", "landlock",
    "from multiprocessing import shared_memory\n"
    "shared_memory.SharedMemory('elm-leak', create=True, size=64)")
for name, numbers in (
    ("shared memory of the system", "29, 0x1eaf, 4096, 0o1600"),
    ("semaphores of the system", "64, 0x1eaf, 1, 0o1600"),
    ("queue of the system", "68, 0x1eaf, 0o1600"),
):
    add(name, "seccomp", f"call({numbers})", top=CALL, machine="x86_64", alone="L3")
