"""Policies that are handed in: shown, and asked for where they let more happen unasked, before anything is stored."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Sequence

from transom import errors
from transom.cli import carry, client, common
from transom.spec import bundle, documents, loader, power, resolve, wish


def brought(files: Sequence[pathlib.Path]) -> list[bundle.Loaded]:
    """What the files hold, when a Policy is among it; nothing otherwise, nor when they are wrong: whoever stores them refuses them
    with every mistake."""
    try:
        own = [item for file, text in loader.texts(files) for item in loader.parse(text, str(file))] if files else []
    except errors.SpecError:
        return []
    return own if any(isinstance(item.document, documents.Policy) for item in own) else []


def agreed(daemon: client.Client, files: Sequence[pathlib.Path], *, yes: bool) -> None:
    """Before they are handed in to ``daemon``; as ``ask``."""
    if not (own := brought(files)):
        return
    kept = [
        bundle.from_plain({"document": one, "file": "stored", "lines": {}}) for one in daemon.items("/v1/documents")
    ]
    before = {item.title: item for item in kept}
    stood = _nodes(before.values())
    try:
        comes = _nodes({**before, **{item.title: item for item in own}}.values())
    except errors.SpecError:
        return  # the daemon refuses them too, and says what is wrong
    ask(stood, comes, yes=yes)


def _nodes(items: Iterable[bundle.Loaded]) -> tuple[wish.NodeWish, ...]:
    return resolve.resolve(loader.assemble(items, loader.shipped_recipes()))


def ask(before: Sequence[wish.NodeWish], after: Sequence[wish.NodeWish], *, yes: bool) -> None:
    """Tell what changes; ends here when more may happen then and the user does not want that. Usage when there is nobody to ask."""
    found = power.changes(before, after)
    for change in found:
        common.progress(f"to store: {change}")
    if any(change.more for change in found) and not common.confirmed("Let more happen unasked?", yes=yes):
        common.progress(carry.NOTHING)
        raise SystemExit(0)
