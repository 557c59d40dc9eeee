"""``transom rom ls|show|push|gc``: the library of option ROMs, through the daemon, or alone on the state folder when none runs."""

from __future__ import annotations

import contextlib
import pathlib
import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from transom import errors, model
from transom.cli import client, common, rom
from transom.reconcile import backend

if TYPE_CHECKING:
    from transom import daemon

_CHUNK = 1 << 20


@click.command()
@common.json_option
@common.server_option
@common.state_option
def ls(as_json: bool, server: str | None, state: pathlib.Path) -> None:
    """List built ROMs, and the BIOS files and drivers that are kept."""
    with common.told(as_json=as_json), _daemon(state, server) as found:
        if found:
            rows = found.items("/v1/roms", limit="1000")
        else:
            with _alone(state) as service:
                rows = [model.to_json(row) for row in service.roms()]
    if as_json:
        common.show_json(rows)
    else:
        click.echo("".join(f"{_line(row)}\n" for row in rows), nl=False)


@click.command()
@click.argument("id", metavar="SHA256")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=pathlib.Path), help="Also write its bytes here."
)
@common.json_option
@common.server_option
@common.state_option
def show(id: str, output: pathlib.Path | None, as_json: bool, server: str | None, state: pathlib.Path) -> None:
    """Show where one file of the library comes from; the beginning of its hash will do."""
    content = b""
    with common.told(as_json=as_json), _daemon(state, server) as found:
        if found:
            row = found.get(f"/v1/roms/{client.quoted(id)}")
            content = found.content(f"/v1/roms/{client.quoted(id)}/content") if output else b""
        else:
            with _alone(state) as service:
                row = model.to_json(service.rom(id))
                content = service.rom_content(id) if output else b""
        if output:
            rom.write(output, content)
    if as_json:
        common.show_json(row)
    else:
        click.echo(_detail(row), nl=False)


@click.command()
@click.argument("source", metavar="FILE|URL")
@click.option("--sha256", default="", help="What it must hash to; a URL needs it.")
@click.option("--device", "devices", type=rom.Device(), multiple=True, help="Build a ROM for it; repeatable.")
@click.option(
    "--driver", default="", metavar="NAME|GUID|SHA256", help="Take this driver out of the firmware, not the GOP."
)
@click.option("--compress", is_flag=True, help="Compress the drivers (EFI 1.1).")
@click.option("--pci23", is_flag=True, help="Write the PCI 2.3 form of the headers.")
@click.option("--class-code", type=rom.Hex(), default=0, help="PCI class code, 000000 unless given.")
@click.option("--revision", type=rom.Hex(), default=0, help="Code revision, 0 unless given.")
@click.option("--board", default="", help="Whose firmware it is, for people.")
@common.json_option
@common.server_option
@common.state_option
def push(
    source: str,
    sha256: str,
    devices: tuple[tuple[int, int], ...],
    as_json: bool,
    server: str | None,
    state: pathlib.Path,
    **how: Any,
) -> None:
    """Hand a BIOS file or driver in, to build a ROM of it at once (--device) or to name it in a Rom document (upload: HASH)."""
    with common.told(as_json=as_json):
        ask = _ask(source, sha256, devices, how)
        with _daemon(state, server) as found:
            if found:
                row = _pushed(found, ask, pathlib.Path(source))
            else:
                with _alone(state) as service:
                    row = model.to_json(service.push_rom(ask, None if ask.url else pathlib.Path(source)))
    if as_json:
        common.show_json(row)
    else:
        click.echo(_detail(row), nl=False)


def _ask(source: str, sha256: str, devices: tuple[tuple[int, int], ...], how: dict[str, Any]) -> backend.RomAsk:
    url = source if source.startswith(("http://", "https://")) else ""
    if url and not sha256:
        raise click.UsageError("what comes from a URL is taken only with its hash: --sha256")
    if sha256 and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise click.UsageError("--sha256 is no SHA-256 of 64 hex digits")
    if len({vendor for vendor, _ in devices}) > 1:
        raise click.UsageError("one ROM is for one vendor's devices")
    if how["pci23"] and len(devices) > 1:
        raise click.UsageError("the PCI 2.3 form has no list of device ids; give one --device")
    if how["class_code"] > 0xFFFFFF or how["revision"] > 0xFFFF:
        raise click.UsageError("--class-code has at most six hex digits, --revision four")
    name = "" if url else pathlib.PurePath(source).name
    ids = tuple(f"{vendor:04x}:{device:04x}" for vendor, device in devices)
    return backend.RomAsk(name=name, url=url, sha256=sha256.lower(), devices=ids, **how)


def _pushed(found: client.Client, ask: backend.RomAsk, source: pathlib.Path) -> Any:
    options = {
        "driver": ask.driver,
        "class_code": f"{ask.class_code:06x}",
        "revision": f"{ask.revision:04x}",
        "board": ask.board,
        "sha256": ask.sha256,
    }
    if ask.url:
        body = options | {"url": ask.url, "devices": list(ask.devices), "compress": ask.compress, "pci23": ask.pci23}
        operation = found.post("/v1/roms", body)
    else:
        flags = {name: "true" for name in ("compress", "pci23") if getattr(ask, name)}
        query = options | flags | {"name": ask.name, "devices": ",".join(ask.devices)}
        operation = found.upload("/v1/roms", source, **query)
    return found.get(f"/v1/roms/{_followed(found, operation['id'])}")


def _followed(found: client.Client, operation: str) -> str:
    """The hash of what came of it, once there is an end; RomError with the daemon's reason."""
    told = ""
    while True:
        said = found.get(f"/v1/operations/{operation}")
        (share,) = said["shares"]
        if said["state"] == "done":
            return str(said["rom"])
        if said["state"] == "failed":
            raise errors.RomError(share["reason"])
        if share["reason"] != told:
            told = share["reason"]
            common.progress(told)
        time.sleep(client.POLL)


@click.command()
@click.option("--dry-run/--yes", default=True, help="Only say what would go (the default), or drop it.")
@click.option("--days", type=click.IntRange(0, 36500), default=7, show_default=True, help="What is younger stays.")
@common.json_option
@common.server_option
@common.state_option
def gc(dry_run: bool, days: int, as_json: bool, server: str | None, state: pathlib.Path) -> None:
    """Drop files of the library that nothing needs. What lies on nodes goes by their plans only."""
    with common.told(as_json=as_json), _daemon(state, server) as found:
        if found:
            rows = found.post("/v1/roms/gc", {"dry_run": dry_run, "days": days})["items"]
        else:
            with _alone(state) as service:
                rows = [model.to_json(row) for row in service.collect_roms(dry_run=dry_run, days=days)]
    if as_json:
        common.show_json(rows)
        return
    for row in rows:
        fate = f"kept: {row['why']}" if row["why"] else "dropped" if row["dropped"] else "would go (--yes)"
        click.echo(f"{row['sha256'][:12] or '-':12} {row['kind']:5} {row['size']:>9}  {row['name']}: {fate}")


def _alone(state: pathlib.Path) -> contextlib.AbstractContextManager[daemon.Service]:
    """Imported only here: through a daemon nothing of it is needed."""
    from transom import daemon

    return daemon.open_service(state, say=common.progress)


@contextlib.contextmanager
def _daemon(state: pathlib.Path, server: str | None) -> Iterator[client.Client | None]:
    """The daemon to ask, closed afterwards; None when there is none."""
    found = client.find(state, server)
    try:
        if found:
            common.progress(f"(through the daemon at {found.url})")
        yield found
    finally:
        if found:
            found.close()


def _line(row: dict[str, Any]) -> str:
    what = ", ".join([*row["devices"], *row["drivers"]]) or row["error"]
    head = f"{(row['sha256'] or row['key'])[:12]:12} {row['kind']:5} {row['state']:6} {row['size']:>9}"
    return f"{head}  {row['name']}  {what}".rstrip()


def _detail(row: dict[str, Any]) -> str:
    lines = [
        (row["kind"], f"{row['sha256'] or '-'}, {row['size']} bytes, {row['state']}"),
        ("key", row["key"]),
        ("asked for by", row["origin"]),
        ("board", row["board"]),
        ("for", " ".join(row["devices"])),
        ("drivers", ", ".join(row["drivers"])),
        ("built by", row["tool"]),
        *(("of", f"{one['role']} {one['name']} {one['sha256']}") for one in row["inputs"]),
        ("verified", "" if row["good"] is None else "good" if row["good"] else "not good"),
        *((name, f"{fit['verdict']}: {fit['reason']}") for name, fit in row["answer"].get("firmware", {}).items()),
        *(("warning", text) for text in row["answer"].get("warnings", [])),
        ("on nodes", " ".join(row["nodes"])),
        ("error", row["error"]),
    ]
    return "".join(f"{name:12} {value}\n" for name, value in lines if value)
