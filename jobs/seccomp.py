"""A filter in the kernel that refuses a process, and all it starts, the system calls no training needs.

No network, no memory that no limit counts, no other process looked into or bounded, no file's mode, owner or
times changed (Landlock minds none of these), no way out of its session or its namespaces. Linux only;
seccomp(2), and classic BPF as in linux/filter.h and linux/seccomp.h.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from dataclasses import dataclass

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000, 0x80000000
LOAD, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_BITS, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER_AT, ARCHITECTURE_AT, FIRST_ARGUMENT_AT = 0, 4, 16  # in struct seccomp_data
X32_NUMBERS = 0x40000000  # the other ABI of x86_64, with numbers of its own for the same calls
# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
NEW_NAMESPACES = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000


@dataclass(frozen=True)
class Machine:
    """What a kind of processor calls the calls: its audit number, `clone`, `prlimit64`, and those refused."""

    audit: int
    clone: int
    prlimit: int
    refused: dict[str, int]


# Numbers from asm/unistd_64.h (x86_64) and asm-generic/unistd.h (aarch64); from 424 on they are the same.
COMMON = {
    **{"io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428},
    **{"move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433},
    **{"pidfd_open": 434, "pidfd_getfd": 438, "mount_setattr": 442, "memfd_secret": 447},
    **{"pidfd_send_signal": 424, "process_madvise": 440, "process_mrelease": 448},
    **{"fchmodat2": 452, "setxattrat": 463, "removexattrat": 466, "file_setattr": 469},
}
X86_64 = {
    **{"socket": 41, "setpgid": 109, "setsid": 112, "ptrace": 101, "process_vm_readv": 310},
    **{"process_vm_writev": 311, "kcmp": 312, "memfd_create": 319, "shmget": 29, "shmat": 30, "bpf": 321},
    **{"perf_event_open": 298, "userfaultfd": 323, "unshare": 272, "setns": 308, "mount": 165},
    **{"umount2": 166, "pivot_root": 155, "chroot": 161, "add_key": 248, "request_key": 249, "keyctl": 250},
    **{"init_module": 175, "finit_module": 313, "delete_module": 176, "kexec_load": 246, "reboot": 169},
    **{"swapon": 167, "swapoff": 168, "acct": 163, "settimeofday": 164, "clock_settime": 227, "iopl": 172},
    **{"ioperm": 173, "mknod": 133, "mknodat": 259, "open_by_handle_at": 304, "fanotify_init": 300},
    **{"syslog": 103, "quotactl": 179, "personality": 135, "mq_open": 240, "kexec_file_load": 320},
    **{"chmod": 90, "fchmod": 91, "fchmodat": 268, "chown": 92, "fchown": 93, "lchown": 94, "fchownat": 260},
    **{"utime": 132, "utimes": 235, "futimesat": 261, "utimensat": 280, "setxattr": 188, "lsetxattr": 189},
    **{"fsetxattr": 190, "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199},
    **{"semget": 64, "msgget": 68, "inotify_add_watch": 254, "setpriority": 141, "ioprio_set": 251},
    **{"sched_setparam": 142, "sched_setscheduler": 144, "sched_setaffinity": 203, "sched_setattr": 314},
}
AARCH64 = {
    **{"socket": 198, "setpgid": 154, "setsid": 157, "ptrace": 117, "process_vm_readv": 270},
    **{"process_vm_writev": 271, "kcmp": 272, "memfd_create": 279, "shmget": 194, "shmat": 196, "bpf": 280},
    **{"perf_event_open": 241, "userfaultfd": 282, "unshare": 97, "setns": 268, "mount": 40},
    **{"umount2": 39, "pivot_root": 41, "chroot": 51, "add_key": 217, "request_key": 218, "keyctl": 219},
    **{"init_module": 105, "finit_module": 273, "delete_module": 106, "kexec_load": 104, "reboot": 142},
    **{"swapon": 224, "swapoff": 225, "acct": 89, "settimeofday": 170, "clock_settime": 112},
    **{"mknodat": 33, "open_by_handle_at": 265, "fanotify_init": 262, "syslog": 116, "quotactl": 60},
    **{"personality": 92, "mq_open": 180, "kexec_file_load": 294},
    **{"fchmod": 52, "fchmodat": 53, "fchownat": 54, "fchown": 55, "utimensat": 88, "setxattr": 5},
    **{"lsetxattr": 6, "fsetxattr": 7, "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16},
    **{"semget": 190, "msgget": 186, "inotify_add_watch": 27, "setpriority": 140, "ioprio_set": 30},
    **{"sched_setparam": 118, "sched_setscheduler": 119, "sched_setaffinity": 122, "sched_setattr": 274},
}
CLONE3 = 435
MACHINES = {
    "x86_64": Machine(0xC000003E, 56, 302, {**COMMON, **X86_64}),
    "aarch64": Machine(0xC00000B7, 220, 261, {**COMMON, **AARCH64}),
}


def is_known() -> bool:
    """Whether this kind of processor is one whose calls we know by number."""
    return platform.machine() in MACHINES


def make_filter(machine: Machine) -> bytes:
    """Return the program: an array of struct sock_filter, looked through at every system call."""
    refused = [(number, REFUSE | errno.EPERM) for number in sorted(machine.refused.values())]
    # Its flags lie in memory, where no filter can look; told that there is none, libc takes clone instead.
    refused.append((CLONE3, REFUSE | errno.ENOSYS))
    lines = [
        *(_line(LOAD, ARCHITECTURE_AT), _line(JUMP_EQUAL, machine.audit, 1, 0), _line(RETURN, KILL)),
        *(_line(LOAD, NUMBER_AT), _line(JUMP_AT_LEAST, X32_NUMBERS, 0, 1), _line(RETURN, KILL)),
    ]
    for number, answer in refused:
        lines += [_line(JUMP_EQUAL, number, 0, 1), _line(RETURN, answer)]
    lines += [  # the limits of another process, which is not our own by being 0
        _line(JUMP_EQUAL, machine.prlimit, 0, 4),
        _line(LOAD, FIRST_ARGUMENT_AT),
        _line(JUMP_EQUAL, 0, 1, 0),
        _line(RETURN, REFUSE | errno.EPERM),
        _line(RETURN, ALLOW),
    ]
    lines += [
        _line(JUMP_EQUAL, machine.clone, 0, 3),
        _line(LOAD, FIRST_ARGUMENT_AT),
        _line(JUMP_BITS, NEW_NAMESPACES, 0, 1),
        _line(RETURN, REFUSE | errno.EPERM),
        _line(RETURN, ALLOW),
    ]
    return b"".join(lines)


def _line(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("lines", ctypes.c_char_p))


def confine() -> None:
    """Put this process, and whatever it starts, under the filter for good.

    Raises:
        OSError: the kernel refuses, or the kind of processor is not one we know.
    """
    if not is_known():
        raise OSError(errno.ENOSYS, f"no filter is known for {platform.machine()}")
    lines = make_filter(MACHINES[platform.machine()])
    program = _Program(len(lines) // 8, lines)
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _check(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0))


def _check(answer: int) -> None:
    if answer != 0:
        raise OSError(ctypes.get_errno(), "seccomp: the filter was not taken")
