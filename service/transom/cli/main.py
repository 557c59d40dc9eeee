"""The entry: finds the command and loads only its module, so that light commands start light."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click

from transom.cli import common

COMMANDS = {
    "validate": "transom.cli.documents:validate",
    "schema": "transom.cli.documents:schema",
    "plan": "transom.cli.plan:plan",
    "apply": "transom.cli.plan:apply",
    "adopt": "transom.cli.plan:adopt",
    "run": "transom.cli.runs:run",
    "undo": "transom.cli.runs:undo",
    "node": "transom.cli.nodes:node",
    "mint": "transom.cli.mint:mint",
    "pin": "transom.cli.pin:pin",
    "vm": "transom.cli.fleet:vm",
    "status": "transom.cli.fleet:status",
    "drift": "transom.cli.fleet:drift",
    "approve": "transom.cli.fleet:approve",
    "reject": "transom.cli.fleet:reject",
    "pause": "transom.cli.fleet:pause",
    "resume": "transom.cli.fleet:resume",
    "release": "transom.cli.parting:release",
    "rm": "transom.cli.parting:rm",
    "cancel": "transom.cli.parting:cancel",
    "serve": "transom.cli.serve:serve",
    "token": "transom.cli.token:token",
    "rom": "transom.cli.rom:rom",
    "lab": "transom.cli.lab:lab",
}


class LazyGroup(click.Group):
    """Commands by name; a command's module is imported when it is called or its help is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="transom")
def transom() -> None:
    """Gives GPUs to virtual machines on Proxmox VE nodes, and keeps it so.

    Exit codes: 0 done or nothing to do; 1 failed; 2 there are changes (with --detailed-exitcode); 3 held by a finding;
    64 wrong usage; 65 wrong document; 69 not reachable; 75 busy, try again; 77 not permitted.
    """


def main(words: Sequence[str] | None = None) -> None:
    """The console script. Wrong usage ends with 64, as sysexits has it; with ``--json`` it is told as JSON, like every error."""
    given = list(sys.argv[1:] if words is None else words)
    as_json = "--json" in given[: given.index("--") if "--" in given else None]
    click.UsageError.exit_code = common.USAGE
    try:
        sys.exit(transom.main(given, prog_name="transom", standalone_mode=False))
    except click.ClickException as error:
        if as_json:
            common.ended("Usage", error.format_message(), as_json=True)
        else:
            error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        common.ended("Interrupted", "interrupted", as_json=as_json)
        sys.exit(common.INTERRUPTED)
