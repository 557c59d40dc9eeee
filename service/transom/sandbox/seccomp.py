"""The system calls that the worker may make, as a BPF program for ``bwrap --seccomp``.

An allow-list: what a Python process needs to start, read its descriptors, compute and write its answer. No process or thread is
made, no socket, no mount, no namespace, no trace, no link. All else fails with EPERM; a call of a foreign architecture
kills. Numbers: Linux ``arch/x86/entry/syscalls/syscall_64.tbl`` and ``include/uapi/asm-generic/unistd.h``; program format:
seccomp(2), linux/filter.h.
"""

from __future__ import annotations

import errno
import platform
import struct

from transom import errors

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
_NUMBER_AT, _ARCH_AT = 0, 4  # in struct seccomp_data
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000

_X86_64 = {
    "read": 0, "write": 1, "open": 2, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "lseek": 8, "mmap": 9,
    "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "ioctl": 16,
    "pread64": 17, "readv": 19, "writev": 20, "access": 21, "sched_yield": 24, "mremap": 25, "madvise": 28, "dup": 32,
    "getpid": 39, "execve": 59, "exit": 60, "wait4": 61, "uname": 63, "fcntl": 72, "getcwd": 79, "readlink": 89,
    "gettimeofday": 96, "getrlimit": 97, "getrusage": 98, "sysinfo": 99, "getuid": 102, "getgid": 104, "geteuid": 107,
    "getegid": 108, "getppid": 110, "sigaltstack": 131, "prctl": 157, "arch_prctl": 158, "setrlimit": 160, "gettid": 186,
    "futex": 202, "sched_getaffinity": 204, "getdents64": 217, "set_tid_address": 218, "clock_gettime": 228,
    "clock_getres": 229, "clock_nanosleep": 230, "exit_group": 231, "tgkill": 234, "waitid": 247, "openat": 257,
    "newfstatat": 262, "readlinkat": 267, "faccessat": 269, "pselect6": 270, "ppoll": 271, "set_robust_list": 273,
    "prlimit64": 302, "getrandom": 318, "statx": 332, "rseq": 334, "clone3": 435, "faccessat2": 439,
}  # fmt: skip
_AARCH64 = {
    "getcwd": 17, "dup": 23, "fcntl": 25, "ioctl": 29, "faccessat": 48, "openat": 56, "close": 57, "getdents64": 61,
    "lseek": 62, "read": 63, "write": 64, "readv": 65, "writev": 66, "pread64": 67, "pselect6": 72, "ppoll": 73,
    "readlinkat": 78, "newfstatat": 79, "fstat": 80, "exit": 93, "exit_group": 94, "waitid": 95, "set_tid_address": 96,
    "futex": 98, "set_robust_list": 99, "clock_gettime": 113, "clock_getres": 114, "clock_nanosleep": 115,
    "sched_getaffinity": 123, "sched_yield": 124, "tgkill": 131, "sigaltstack": 132, "rt_sigaction": 134,
    "rt_sigprocmask": 135, "rt_sigreturn": 139, "uname": 160, "getrlimit": 163, "setrlimit": 164, "getrusage": 165,
    "prctl": 167, "gettimeofday": 169, "getpid": 172, "getppid": 173, "getuid": 174, "geteuid": 175, "getgid": 176,
    "getegid": 177, "gettid": 178, "sysinfo": 179, "brk": 214, "munmap": 215, "mremap": 216, "execve": 221, "mmap": 222,
    "mprotect": 226, "madvise": 233, "wait4": 260, "prlimit64": 261, "getrandom": 278, "statx": 291, "rseq": 293,
    "clone3": 435, "faccessat2": 439,
}  # fmt: skip
_CALLS = {"x86_64": _X86_64, "aarch64": _AARCH64}

# isatty() and the C library's probes take these answers for "no", where EPERM would end them
_SPECIAL = {"ioctl": errno.ENOTTY, "clone3": errno.ENOSYS}


def program(machine: str | None = None) -> bytes:
    """The filter for ``machine`` (this one's unless given), as an array of ``struct sock_filter``."""
    machine = machine or platform.machine()
    if machine not in _CALLS:
        raise errors.SandboxError(
            f"no system call filter for {machine}", stage="walls", hint="the worker runs on x86_64 and aarch64"
        )
    code = [
        _statement(_LOAD, _ARCH_AT),
        _jump(_AUDIT_ARCH[machine], true=1, false=0),
        _statement(_RETURN, _KILL),
        _statement(_LOAD, _NUMBER_AT),
    ]
    for name, number in _CALLS[machine].items():
        verdict = _ERRNO | _SPECIAL[name] if name in _SPECIAL else _ALLOW
        code += [_jump(number, true=0, false=1), _statement(_RETURN, verdict)]
    code.append(_statement(_RETURN, _ERRNO | errno.EPERM))
    return b"".join(code)


def _statement(code: int, value: int) -> bytes:
    return struct.pack("<HBBI", code, 0, 0, value)


def _jump(value: int, *, true: int, false: int) -> bytes:
    return struct.pack("<HBBI", _JUMP_EQUAL, true, false, value)
