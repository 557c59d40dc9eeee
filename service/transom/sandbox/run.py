"""Runs one job in a worker behind walls and gives back its answer, or an error that says how far it came.

The caller's thread waits: bubblewrap dies with the thread that started it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import selectors
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

from transom import errors
from transom.sandbox import limits as limit
from transom.sandbox import seccomp, walls

_STDERR_KEPT = 8192
_STEP = 1 << 16
_WORKER_NO_ROOM = 70


@dataclasses.dataclass(frozen=True)
class Input:
    """A file for the worker; ``role`` is source, helper or legacy when a ROM is built."""

    path: pathlib.Path
    role: str = "source"
    name: str = ""
    """For messages; the path's own unless given."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the worker said (shapes: docs/rom.md), and the raw bytes that it built, if any."""

    result: dict[str, Any]
    payload: bytes


@dataclasses.dataclass
class _Heard:
    """What has come over the pipes."""

    out: bytearray = dataclasses.field(default_factory=bytearray)
    err: bytearray = dataclasses.field(default_factory=bytearray)


def run(
    verb: str,
    inputs: tuple[Input, ...],
    *,
    limits: limit.Limits = limit.Limits(),  # noqa: B008 - frozen
    more: dict[str, Any] | None = None,
    on_stage: Callable[[str], None] = lambda _: None,
) -> Answer:
    """Do ``verb`` (inspect, build, verify) on files.

    Raises ``errors.RomError`` for what is wrong with the bytes, ``errors.SandboxError`` (with the stage reached) when there are no
    walls, or the worker crashed or met a limit.
    """
    with contextlib.ExitStack() as stack:
        files = [_open(stack, one.path, limits.input) for one in inputs]
        job = {
            "verb": verb,
            "limits": {"memory": limits.memory, "cpu": limits.cpu, "input": limits.input},
            "inputs": [
                {"name": i.name or i.path.name, "fd": fd, "role": i.role} for i, fd in zip(inputs, files, strict=True)
            ],
            **(more or {}),
        }
        job_fd, filter_fd = (_memory(stack, data) for data in (json.dumps(job).encode(), seccomp.program()))
        argv = walls.command(filter_fd, job_fd)
        heard, code = _converse(argv, (job_fd, filter_fd, *files), limits, on_stage)
    return _judge(heard, code, limits)


def _open(stack: contextlib.ExitStack, path: pathlib.Path, most: int) -> int:
    """A descriptor for reading only, of a regular file that is not too large."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as cause:
        raise errors.RomError(f"{path}: {cause.strerror}") from cause
    stack.callback(os.close, descriptor)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise errors.RomError(f"{path}: not a regular file")
    if status.st_size > most:
        raise errors.RomError(f"{path}: {status.st_size} bytes, more than {most}")
    return descriptor


def _memory(stack: contextlib.ExitStack, data: bytes) -> int:
    """A sealed-off file in memory: a pipe could fill up before anyone reads."""
    descriptor = os.memfd_create("transom", os.MFD_CLOEXEC)
    stack.callback(os.close, descriptor)
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _converse(
    argv: list[str], descriptors: tuple[int, ...], limits: limit.Limits, on_stage: Callable[[str], None]
) -> tuple[_Heard, int]:
    """Start the worker, listen until it ends; a worker that takes too long or says too much is killed."""
    deadline = time.monotonic() + limits.wall
    heard = _Heard()
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={}, pass_fds=descriptors
    ) as worker:
        try:
            for stage in _listen(worker, heard, limits, deadline):
                on_stage(stage)
            code = worker.wait(timeout=max(0.1, deadline - time.monotonic()))
        except (subprocess.TimeoutExpired, TimeoutError) as cause:
            text = f"the worker took more than {limits.wall:g} s and was ended"
            raise errors.SandboxError(text, stage=_stage(heard)) from cause
        finally:
            worker.kill()
    return heard, code


def _listen(worker: subprocess.Popen[bytes], heard: _Heard, limits: limit.Limits, deadline: float) -> Iterator[str]:
    """Collect both pipes until they close; gives out each stage as it is announced."""
    assert worker.stdout is not None
    assert worker.stderr is not None
    told = ""
    with selectors.DefaultSelector() as selector:
        selector.register(worker.stdout, selectors.EVENT_READ, heard.out)
        selector.register(worker.stderr, selectors.EVENT_READ, heard.err)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready or time.monotonic() > deadline:
                raise TimeoutError
            for key, _ in ready:
                step = os.read(key.fd, _STEP)
                if not step:
                    selector.unregister(key.fileobj)
                key.data.extend(step)
            if len(heard.out) > limits.answer:
                raise errors.SandboxError(
                    f"the worker's answer is larger than {limits.answer} bytes", stage=_stage(heard)
                )
            del heard.err[:-_STDERR_KEPT]
            if (stage := _stage(heard)) != told:
                told = stage
                yield stage


def _stage(heard: _Heard) -> str:
    """The last stage announced."""
    stage = "starting"
    for line in bytes(heard.out[:_STEP]).split(b"\n")[:-1]:
        if not line.startswith(b'{"stage"'):
            break
        with contextlib.suppress(ValueError):
            stage = str(json.loads(line)["stage"])
    return stage


def _judge(heard: _Heard, code: int, limits: limit.Limits) -> Answer:
    stage = _stage(heard)
    if code:
        raise _failure(heard, code, stage, limits)
    lines = heard.out
    while lines.startswith(b'{"stage"'):
        lines = lines[lines.find(b"\n") + 1 :]
    head, _, payload = lines.partition(b"\n")
    try:
        message = json.loads(head)
    except ValueError as cause:
        raise errors.SandboxError("the worker's answer is not JSON", stage=stage) from cause
    if "error" in message:
        wrong = message["error"]
        raise errors.RomError(str(wrong["message"]), offset=wrong["offset"], hint=str(wrong["hint"]))
    if "result" not in message or len(payload) != message.get("bytes"):
        raise errors.SandboxError("the worker's answer is cut off", stage=stage)
    return Answer(message["result"], bytes(payload))


def _failure(heard: _Heard, code: int, stage: str, limits: limit.Limits) -> errors.SandboxError:
    said = heard.err.decode("utf-8", "replace").strip().splitlines()
    if not heard.out and any(line.startswith("bwrap:") for line in said):
        return walls.refused(said[-1].removeprefix("bwrap: "))
    if code == _WORKER_NO_ROOM:
        return errors.SandboxError(f"the worker needed more than {limits.memory} bytes of memory", stage=stage)
    killed = -code if code < 0 else code - 128
    if killed in (signal.SIGXCPU, signal.SIGKILL):
        return errors.SandboxError(f"the worker was ended: it may use {limits.cpu} s of CPU", stage=stage)
    if 0 < killed <= signal.SIGRTMAX:
        return errors.SandboxError(f"the worker crashed with signal {killed}", stage=stage)
    return errors.SandboxError(f"the worker failed with {code}: {said[-1] if said else 'no word'}", stage=stage)
