"""``validate`` and ``schema``: documents by themselves, no host involved."""

from __future__ import annotations

import pathlib

import click

from transom.cli import common
from transom.spec import loader, resolve
from transom.spec import schema as schemas


@click.command()
@common.files_option
@common.json_option
def validate(files: tuple[pathlib.Path, ...], as_json: bool) -> None:
    """Check documents; every mistake at once, with file, line, reason and hint."""
    if not files:
        raise click.UsageError("give at least one -f FILE")
    with common.told(as_json=as_json):
        docs = loader.load(files)
        nodes = resolve.resolve(docs)
    titles = [item.title for item in docs.own]
    if as_json:
        common.show_json({"valid": True, "documents": titles, "nodes": [node.name for node in nodes]})
    else:
        click.echo(f"{len(titles)} documents are right: {', '.join(titles)}")


@click.command()
def schema() -> None:
    """Print the JSON Schema of every kind of document."""
    common.show_json(schemas.json_schema())
