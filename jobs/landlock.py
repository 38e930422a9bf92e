"""Landlock: the kernel shows a process, and all it starts, only the files that were named to it.

For where no namespaces can be made, as in most containers. https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable
from pathlib import Path

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on every kind of processor
GET_VERSION, RULE_PATH_BENEATH = 1, 1
# The first version that keeps signals and abstract sockets to those of the same confinement.
NEEDED_VERSION = 6
PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP = 38, 24
CAPABILITY_VERSION_3 = 0x20080522

EXECUTE, WRITE_FILE, READ_FILE, READ_FOLDER, TRUNCATE, DEVICE_CONTROL = (
    1 << bit for bit in (0, 1, 2, 3, 14, 15)
)
EVERYTHING = (1 << 16) - 1
MAKE_DEVICES_AND_SOCKETS = 1 << 6 | 1 << 9 | 1 << 10 | 1 << 11
READ = EXECUTE | READ_FILE | READ_FOLDER
WRITE = EVERYTHING & ~MAKE_DEVICES_AND_SOCKETS & ~DEVICE_CONTROL
OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | DEVICE_CONTROL
ALL_TCP, SIGNALS_AND_ABSTRACT_SOCKETS = 3, 3


def version() -> int:
    """Return the kernel's version of Landlock; 0 where there is none."""
    if os.name == "nt" or not hasattr(ctypes.CDLL(None), "syscall"):
        return 0
    return max(0, ctypes.CDLL(None).syscall(CREATE_RULESET, None, 0, GET_VERSION))


def confine(readable: Iterable[str], writable: Iterable[str], devices: Iterable[str]) -> None:
    """Leave this process, for good, with these files and folders, and without TCP and root's powers.

    Raises:
        OSError: the kernel refuses.
    """
    attributes = struct.pack("=QQQ", EVERYTHING, ALL_TCP, SIGNALS_AND_ABSTRACT_SOCKETS)
    rules = _call(CREATE_RULESET, attributes, len(attributes), 0)
    for paths, access in ((readable, READ), (writable, WRITE), (devices, OF_A_FILE & ~EXECUTE)):
        for path in paths:
            _allow(rules, path, access)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _call(RESTRICT_SELF, rules, 0)
    os.close(rules)
    _drop_powers(libc)


def _allow(rules: int, path: str, access: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        wanted = access if Path(path).is_dir() else access & OF_A_FILE
        _call(ADD_RULE, rules, RULE_PATH_BENEATH, struct.pack("=Qi", wanted, handle), 0)
    finally:
        os.close(handle)


def _drop_powers(libc: ctypes.CDLL) -> None:
    """Give up the capabilities of root, where we are it: capset(2) with three empty sets."""
    header = struct.pack("=Ii", CAPABILITY_VERSION_3, 0)
    if libc.capset(header, bytes(24)) != 0:
        raise OSError(ctypes.get_errno(), "capset: the powers of root could not be given up")


def _call(number: int, *arguments: object) -> int:
    answer = ctypes.CDLL(None, use_errno=True).syscall(number, *arguments)
    if answer < 0:
        code = ctypes.get_errno() or errno.EPERM
        raise OSError(code, f"Landlock: {os.strerror(code)}")
    return answer
