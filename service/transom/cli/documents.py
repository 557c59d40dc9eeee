"""``validate`` and ``schema``: documents by themselves, no host involved."""

from __future__ import annotations

import dataclasses
import pathlib

import click

from transom import errors
from transom.cli import common
from transom.spec import loader, resolve
from transom.spec import schema as schemas


@click.command()
@common.files_option
@click.option("--strict", is_flag=True, help="Files and environment variables that are not here count as mistakes too.")
@common.json_option
def validate(files: tuple[pathlib.Path, ...], strict: bool, as_json: bool) -> None:
    """Check documents; every mistake at once, with file, line, reason and hint.

    The files that they name are looked at too, as this machine has them, once the documents are right: one that cannot serve is
    a mistake, one that is not here is told, since it may be on the daemon's machine.
    """
    if not files:
        raise click.UsageError("give at least one -f FILE")
    with common.told(as_json=as_json):
        docs = loader.load(files)
        if wrong := loader.check_files(docs, absent=strict):
            raise errors.SpecError(wrong)
        nodes = resolve.resolve(docs)
    absent = loader.check_files(docs)
    titles = [item.title for item in docs.own]
    if as_json:
        missing = [dataclasses.asdict(problem) for problem in absent]
        named = [node.name for node in nodes]
        common.show_json({"valid": True, "documents": titles, "nodes": named, "absent": missing})
    else:
        click.echo(f"{len(titles)} documents are right: {', '.join(titles)}")
        for problem in absent:
            common.progress(f"not here: {problem}")


@click.command()
def schema() -> None:
    """Print the JSON Schema of every kind of document."""
    common.show_json(schemas.json_schema())
