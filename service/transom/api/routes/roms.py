"""The library of option ROMs: what is in it, handing BIOS files in, what may go."""

from __future__ import annotations

from transom.api import auth, problem, route, wire
from transom.reconcile import backend


def _roms(call: route.Call) -> route.Answer:
    return route.Answer(route.limited(call, call.backend.roms()))


def _rom(call: route.Call) -> route.Answer:
    return route.Answer(route.look_up(call.backend.rom, call.path["id"]))


def _content(call: route.Call) -> route.Answer:
    row = route.look_up(call.backend.rom, call.path["id"])
    data = route.look_up(call.backend.rom_content, call.path["id"])
    name = f"{row.sha256[:12]}.{'rom' if row.kind == 'rom' else 'bin'}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "ETag": f'"{row.sha256}"'}
    return route.Answer(data, media="application/octet-stream", headers=headers)


def _push(call: route.Call) -> route.Answer:
    handed: route.Upload = call.body
    try:
        ask = _ask(handed.asked)
        return route.accepted(call.backend.push(ask, handed.incoming, by=call.caller.name))
    finally:
        if handed.incoming is not None:
            handed.incoming.drop()


def _ask(asked: wire.RomPush | wire.RomUpload) -> backend.RomAsk:
    """Problem 400 for what no single field shows."""
    if len({device[:4] for device in asked.devices}) > 1:
        raise problem.bad_request("one ROM is for one vendor's devices")
    if asked.pci23 and len(asked.devices) > 1:
        raise problem.bad_request("the PCI 2.3 form has no list of device ids; give one device")
    return backend.RomAsk(
        name=asked.name,
        url=asked.url,
        sha256=asked.sha256.lower(),
        devices=tuple(device.lower() for device in asked.devices),
        driver=asked.driver,
        compress=asked.compress,
        pci23=asked.pci23,
        class_code=int(asked.class_code or "0", 16),
        revision=int(asked.revision or "0", 16),
        board=asked.board,
    )


def _collect(call: route.Call) -> route.Answer:
    return route.Answer(route.every(call.backend.collect_roms(dry_run=call.body.dry_run, days=call.body.days)))


def _options() -> tuple[route.Query, ...]:
    """What JSON says in its fields, for an upload."""
    return (
        route.Query("name", "What the file is called, for people."),
        route.Query("sha256", "What it must hash to."),
        route.Query(
            "devices", "Build a ROM for these: `8086:9bc8`, several with commas. Without, the file is only kept."
        ),
        route.Query("driver", "Take this driver, by name or GUID."),
        route.Query("compress", "Compress the drivers.", values=("true", "false")),
        route.Query("pci23", "The PCI 2.3 form of the headers.", values=("true", "false")),
        route.Query("class_code", "Up to six hex digits."),
        route.Query("revision", "Up to four hex digits."),
        route.Query("board", "Whose firmware it is, for people."),
    )


ROUTES = (
    route.Route(
        "GET",
        "/v1/roms",
        auth.Scope.VIEWER,
        "The library: built ROMs, and the BIOS files and drivers that were handed in or fetched; newest first.",
        _roms,
        wire.Items[backend.RomRow],
        query=(route.LIMIT,),
    ),
    route.Route(
        "POST",
        "/v1/roms",
        auth.Scope.OPERATOR,
        "Hand in a BIOS file or driver: its bytes (`application/octet-stream`, options in the query), or JSON with `url` and "
        "`sha256`. With `devices` a ROM is built of it. Answers with an operation to follow.",
        _push,
        backend.Operation,
        status=202,
        query=_options(),
        body=route.Body.UPLOAD,
        also={409: "the library is full", 422: "the file is empty, or not the one that `sha256` names"},
        slow=True,
    ),
    route.Route(
        "GET",
        "/v1/roms/{id}",
        auth.Scope.VIEWER,
        "One file of the library with where it comes from, by its SHA-256, its key, or the beginning of one (six digits or more).",
        _rom,
        backend.RomDetail,
    ),
    route.Route(
        "GET",
        "/v1/roms/{id}/content",
        auth.Scope.OPERATOR,
        "Its bytes.",
        _content,
        bytes,
        binary=True,
        slow=True,
    ),
    route.Route(
        "POST",
        "/v1/roms/gc",
        auth.Scope.ADMIN,
        "What nothing needs any more, and why the rest stays; with `dry_run: false` it is dropped.",
        _collect,
        wire.Items[backend.RomLeft],
        body=wire.Collect,
        slow=True,
    ),
)
