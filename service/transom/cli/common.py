"""What the commands share: where state lies, how errors end, how JSON is printed."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click

from transom import errors

HELD = 3
CHANGES = 2
USAGE = 64
INTERRUPTED = 130
EXITS: dict[type[errors.TransomError], int] = {
    errors.SpecError: 65,
    errors.Unreachable: 69,
    errors.Garbled: 69,
    errors.Busy: 75,
    errors.Denied: 77,
}

F = TypeVar("F", bound=Callable[..., Any])


def default_state() -> pathlib.Path:
    """``$TRANSOM_STATE``, else ``$XDG_STATE_HOME/transom``, else ``~/.local/state/transom``."""
    if chosen := os.environ.get("TRANSOM_STATE"):
        return pathlib.Path(chosen)
    base = os.environ.get("XDG_STATE_HOME")
    return (pathlib.Path(base) if base else pathlib.Path.home() / ".local/state") / "transom"


state_option = click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=pathlib.Path),
    default=default_state,
    show_default="$TRANSOM_STATE or ~/.local/state/transom",
    help="Where Transom keeps its database.",
)
server_option = click.option(
    "--server", envvar="TRANSOM_SERVER", help="URL of a daemon; by default the one that works on the state folder."
)


def asks_daemon(command: F) -> F:
    """Options of the commands that need a daemon."""
    return server_option(state_option(command))


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")
files_option = click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    type=click.Path(exists=True, path_type=pathlib.Path),
    help="A file or a folder of documents; may be given again.",
)
node_option = click.option("--node", "only", help="Only this node (the name of its document).")


@contextlib.contextmanager
def told(*, as_json: bool = False) -> Iterator[None]:
    """Ends the program on an error of ours: one clear message, and the exit code that its class has."""
    try:
        yield
    except errors.TransomError as error:
        if as_json:
            show_json(error_data(error))
        else:
            click.echo(f"transom: {error}", err=True)
        raise SystemExit(exit_code(error)) from None
    except (KeyboardInterrupt, click.Abort):
        ended("Interrupted", "interrupted; run the same command again to go on from what is there", as_json=as_json)
        raise SystemExit(INTERRUPTED) from None


def ended(error: str, message: str, *, as_json: bool) -> None:
    """Says what ended the program and is none of our errors."""
    if as_json:
        show_json({"error": error, "message": message, "retry": errors.Retry.NEVER.value})
    else:
        click.echo(f"transom: {message}", err=True)


def exit_code(error: errors.TransomError | None) -> int:
    """As docs/commands.md has it; 1 for what has no code of its own."""
    return next((code for kind, code in EXITS.items() if isinstance(error, kind)), 1)


def error_data(error: errors.TransomError) -> dict[str, Any]:
    """An error for ``--json``; with mistakes in documents also these one by one."""
    said = {"error": type(error).__name__, "message": str(error), "retry": error.retry.value}
    if isinstance(error, errors.SpecError):
        return said | {"problems": [dataclasses.asdict(row) for row in error.rows]}
    return said


def show_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False))


def progress(line: str) -> None:
    """Progress goes to standard error, so that standard output stays an answer."""
    click.echo(line, err=True)


def confirmed(question: str, *, yes: bool) -> bool:
    """Ask, unless ``yes``. Without a terminal there is nobody to ask: refuse with the way out."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise click.UsageError("nobody to ask: standard input is no terminal. Pass --yes to approve exactly this plan.")
    return click.confirm(question, default=False, err=True)
