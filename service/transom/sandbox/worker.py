"""What runs inside the walls: takes one job, sets its own limits, parses, answers. Imports the parsers only after that.

The job is JSON on a descriptor: ``{"verb", "inputs": [{"name", "fd", "role"}], "limits": {...}, ...}``. The answer goes to
stdout as lines of JSON: ``{"stage": text}`` any number of times, then ``{"result": {...}, "bytes": n}`` and n raw bytes, or
``{"error": {"message", "offset", "hint"}}``.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transom.rom import assemble, contents

Job = dict[str, Any]
_NO_ROOM = 70


def main() -> None:
    """Do the job whose descriptor is the only argument. Ends the process: nothing is torn down that could still cost time."""
    job = _job(int(sys.argv[1]))
    _limit(job["limits"])
    code = 0
    try:
        _answer(job)
    except MemoryError:
        code = _NO_ROOM
    sys.stdout.flush()
    os._exit(code)


def _job(descriptor: int) -> Job:
    with open(descriptor, "rb") as stream:
        job: Job = json.loads(stream.read())
    return job


def _limit(limits: dict[str, int]) -> None:
    """Both the soft and the hard limit, before the first untrusted byte is read."""
    for name, value in (
        (resource.RLIMIT_AS, limits["memory"]),
        (resource.RLIMIT_CPU, limits["cpu"]),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        resource.setrlimit(name, (value, value))


def _answer(job: Job) -> None:
    from transom import errors
    from transom.rom import span

    try:
        result, payload = _VERBS[job["verb"]](job)
    except errors.RomError as wrong:
        _say({"error": {"message": span.reason(wrong), "offset": wrong.offset, "hint": wrong.hint}})
        return
    _say({"result": result, "bytes": len(payload)})
    sys.stdout.buffer.write(payload)


def _inspect(job: Job) -> tuple[dict[str, Any], bytes]:
    from transom.rom import view

    found = _contents(_read(job, 0)[1])
    _say({"stage": "answering"})
    return view.of_contents(found, with_tree=bool(job.get("tree"))), b""


def _contents(data: bytes) -> contents.Contents:
    from transom.rom import contents

    _say({"stage": "parsing"})
    return contents.read(data)


def _build(job: Job) -> tuple[dict[str, Any], bytes]:
    from transom.rom import assemble, view

    request = _request(job)
    _say({"stage": "building"})
    built = assemble.assemble(request)
    return view.of_built(built), built.rom


def _request(job: Job) -> assemble.Request:
    from transom.rom import assemble, build

    files = [assemble.Source(*_read(job, place)) for place in range(len(job["inputs"]))]
    roles = [entry["role"] for entry in job["inputs"]]
    options = dict(job["options"], devices=tuple(job["options"]["devices"]))
    return assemble.Request(
        sources=tuple(file for file, role in zip(files, roles, strict=True) if role == "source"),
        options=build.Options(**options),
        helpers=tuple(file for file, role in zip(files, roles, strict=True) if role == "helper"),
        legacy=next((file for file, role in zip(files, roles, strict=True) if role == "legacy"), None),
        driver=job.get("driver", ""),
    )


def _verify(job: Job) -> tuple[dict[str, Any], bytes]:
    from transom.rom import verify, view

    data = _read(job, 0)[1]
    _say({"stage": "verifying"})
    return view.of_report(verify.verify(data, tuple((v, d) for v, d in job.get("wanted", [])))), b""


def _read(job: Job, place: int) -> tuple[str, bytes]:
    entry = job["inputs"][place]
    _say({"stage": f"reading {entry['name']}"})
    with open(entry["fd"], "rb") as stream:  # noqa: PTH123 - a descriptor, not a path
        # not read(n): that sets aside n bytes first
        return entry["name"], stream.read()


def _say(message: dict[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(message).encode() + b"\n")
    sys.stdout.buffer.flush()


_VERBS = {"inspect": _inspect, "build": _build, "verify": _verify}
