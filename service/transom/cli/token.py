"""``token``: who may use the daemon's API. Works on the state folder, with and without a daemon."""

from __future__ import annotations

import dataclasses
import datetime
import pathlib
import secrets
import time

import click

from transom.api import auth, tokens
from transom.cli import common


@click.group()
def token() -> None:
    """Tokens of the API: each has a name and a scope."""


@token.command()
@click.argument("name")
@click.option("--scope", type=click.Choice([scope.word for scope in auth.Scope]), required=True)
@common.json_option
@common.state_option
def add(name: str, scope: str, as_json: bool, state: pathlib.Path) -> None:
    """Make a token and print its secret, once."""
    with common.told(as_json=as_json), tokens.open_tokens(state) as kept:
        secret = kept.add(name, auth.WORDS[scope], at=time.time(), random=secrets.token_bytes)
    if as_json:
        common.show_json({"name": name, "scope": scope, "token": secret})
    else:
        common.progress(f"token {name}, {scope}; it is shown this once:")
        click.echo(secret)


@token.command()
@common.json_option
@common.state_option
def ls(as_json: bool, state: pathlib.Path) -> None:
    """List tokens."""
    with common.told(as_json=as_json), tokens.open_tokens(state) as kept:
        found = kept.all()
    if as_json:
        rows = [dataclasses.asdict(one) for one in found]
        common.show_json([{key: value for key, value in row.items() if key != "sha256"} for row in rows])
    else:
        for one in found:
            made = datetime.datetime.fromtimestamp(one.made_at, tz=datetime.UTC)
            click.echo(f"{one.name:24} {one.scope:9} {made:%Y-%m-%d %H:%M:%SZ}")


@token.command()
@click.argument("name")
@common.json_option
@common.state_option
def rm(name: str, as_json: bool, state: pathlib.Path) -> None:
    """Take a token away: it is refused from now on."""
    with common.told(as_json=as_json), tokens.open_tokens(state) as kept:
        kept.remove(name)
    if as_json:
        common.show_json({"name": name, "removed": True})
    else:
        common.progress(f"token {name} is gone")
