"""Hostile programs by subject: what a sandbox is to hold, as a table."""

import platform

from attacks import (
    channel,
    faults,
    files,
    forging,
    leftovers,
    memory,
    network,
    processes,
    resources,
    secrets,
)

SUBJECTS = (
    resources, faults, processes, files, network, secrets, memory, channel, forging, leftovers,
)  # fmt: skip
ATTACKS = [
    attack
    for module in SUBJECTS
    for attack in module.subject.attacks
    if attack.machine in ("", platform.machine())
]
