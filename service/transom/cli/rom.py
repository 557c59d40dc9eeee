"""``transom rom inspect|build|verify``: option ROMs on this machine, without a daemon. Files are parsed in the sandbox only.

The library's commands are in ``library``.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pathlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import click

from transom import errors

if TYPE_CHECKING:
    from transom.sandbox import run

# 0 good; what follows is told apart so that scripts need not read text
_NOT_GOOD = 1
_NO_SANDBOX = 69

_DEVICE = re.compile(r"(?:0x)?([0-9a-fA-F]{4}):(?:0x)?([0-9a-fA-F]{4})")


class Device(click.ParamType[tuple[int, int]]):
    """vendor:device in hexadecimal."""

    name = "VENDOR:DEVICE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        found = _DEVICE.fullmatch(str(value))
        if not found:
            self.fail(f'"{value}" is not vendor:device in hex, such as 8086:9bc8', param, ctx)
        return int(found[1], 16), int(found[2], 16)


class Hex(click.ParamType[int]):
    """A hexadecimal number, with or without 0x."""

    name = "HEX"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return int(str(value), 16)
        except ValueError:
            self.fail(f'"{value}" is no hexadecimal number', param, ctx)


_FILE = click.Path(exists=True, dir_okay=False, path_type=pathlib.Path)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON (docs/rom.md).")


_LIBRARY = ("ls", "show", "push", "gc")


class _Rom(click.Group):
    """The library's commands need the store and HTTP: they are imported when one is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *_LIBRARY]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _LIBRARY:
            return super().get_command(ctx, cmd_name)
        command = getattr(importlib.import_module("transom.cli.library"), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Rom)
def rom() -> None:
    """Read firmware, build option ROMs and verify them; keep them in the library."""


@rom.command()
@click.argument("file", type=_FILE)
@click.option("--tree", is_flag=True, help="Show every part.")
@_as_json
def inspect(file: pathlib.Path, tree: bool, as_json: bool) -> None:
    """Show what a BIOS file, driver or ROM holds. Exit 1 when it is none of these or is damaged."""
    from transom.rom import text

    with _told(as_json):
        answer = _run("inspect", [(file, "source")], tree=tree).result
    _print(answer, text.of_contents(answer), as_json=as_json)
    raise SystemExit(0 if answer["whole"] else _NOT_GOOD)


@rom.command()
@click.argument("files", type=_FILE, nargs=-1)
@click.option("--device", "devices", type=Device(), multiple=True, required=True, help="For which device; repeatable.")
@click.option(
    "--with", "helpers", type=_FILE, multiple=True, help="A driver to add behind, such as PlatformGopPolicy.efi."
)
@click.option("--legacy", type=_FILE, help="A legacy (type 0) vBIOS to put in front.")
@click.option(
    "--driver", default="", metavar="NAME|GUID|SHA256", help="Take this driver out of the firmware, not the GOP."
)
@click.option("--compress", is_flag=True, help="Compress the drivers (EFI 1.1).")
@click.option("--pci23", is_flag=True, help="Write the PCI 2.3 form of the headers.")
@click.option("--class-code", type=Hex(), default=0, help="PCI class code, 000000 unless given.")
@click.option("--revision", type=Hex(), default=0, help="Code revision, 0 unless given.")
@click.option("--not-last", is_flag=True, help="Do not flag the last image: for joining by hand.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=pathlib.Path), required=True)
@_as_json
def build(
    files: tuple[pathlib.Path, ...],
    helpers: tuple[pathlib.Path, ...],
    legacy: pathlib.Path | None,
    output: pathlib.Path,
    as_json: bool,
    **how: Any,
) -> None:
    """Build a ROM from BIOS files or .efi drivers, byte for byte as EDK2's EfiRom writes it."""
    from transom.rom import text

    inputs = [*((file, "source") for file in files), *((file, "helper") for file in helpers)]
    if legacy:
        inputs.append((legacy, "legacy"))
    with _told(as_json):
        if not inputs:
            raise errors.RomError("nothing to build a ROM from", hint="give a BIOS file or a driver")
        options = _options(how)
        done = _run("build", inputs, driver=how["driver"], options=options)
        write(output, done.payload)
    answer = {"file": str(output)} | done.result
    _print(answer, text.of_built(answer), as_json=as_json)


@rom.command()
@click.argument("file", type=_FILE)
@click.option("--device", "devices", type=Device(), multiple=True, help="It must name this device; repeatable.")
@click.option("--firmware", type=click.Choice(["seabios", "ovmf"]), help="It must work for this guest firmware.")
@_as_json
def verify(file: pathlib.Path, devices: tuple[tuple[int, int], ...], firmware: str | None, as_json: bool) -> None:
    """Check a ROM as firmware would. Exit 0 only when it is good, and can work where --firmware says."""
    from transom.rom import text

    with _told(as_json):
        answer = _run("verify", [(file, "source")], wanted=[list(pair) for pair in devices]).result
    _print(answer, text.of_report(answer, firmware), as_json=as_json)
    works = firmware is None or answer["firmware"][firmware]["verdict"] != "cannot work"
    raise SystemExit(0 if answer["good"] and works else _NOT_GOOD)


def _run(verb: str, inputs: list[tuple[pathlib.Path, str]], **more: Any) -> run.Answer:
    from transom.sandbox import run

    return run.run(verb, tuple(run.Input(path, role) for path, role in inputs), more=more)


def _options(how: dict[str, Any]) -> dict[str, Any]:
    """Fields of ``transom.rom.build.Options``; one ROM has one vendor."""
    vendors = {vendor for vendor, _ in how["devices"]}
    if len(vendors) > 1:
        raise errors.RomError("one ROM is for one vendor's devices", hint="build one for each")
    return {
        "vendor": vendors.pop(),
        "devices": [device for _, device in how["devices"]],
        "compress": how["compress"],
        "pci23": how["pci23"],
        "class_code": how["class_code"],
        "revision": how["revision"],
        "last": not how["not_last"],
    }


def write(output: pathlib.Path, data: bytes) -> None:
    """The whole file or none: written beside its place, then moved there."""
    partial = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        with partial.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        partial.chmod(0o644)
        partial.replace(output)
    except OSError as cause:
        partial.unlink(missing_ok=True)
        raise errors.RomError(f"{output}: {cause.strerror}") from cause


def _print(answer: dict[str, Any], text: str, *, as_json: bool) -> None:
    click.echo(json.dumps(answer, indent=1) if as_json else text)


@contextlib.contextmanager
def _told(as_json: bool) -> Iterator[None]:
    """Errors as one line, or as JSON, with an exit code that tells bytes from walls."""
    try:
        yield
    except errors.RomError as wrong:
        _fail(wrong, as_json, {"offset": wrong.offset}, _NOT_GOOD)
    except errors.SandboxError as wrong:
        _fail(wrong, as_json, {"stage": wrong.stage}, _NO_SANDBOX)


def _fail(wrong: errors.TransomError, as_json: bool, more: dict[str, Any], code: int) -> NoReturn:
    if as_json:
        kind = type(wrong).__name__
        click.echo(
            json.dumps({"error": {"type": kind, "message": wrong.message, "hint": wrong.hint, **more}}, indent=1)
        )
    else:
        click.echo(f"error: {wrong}", err=True)
    raise SystemExit(code)


if __name__ == "__main__":
    rom(prog_name="transom rom")
