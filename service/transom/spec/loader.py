"""Reads documents: the only part of ``spec`` that touches files. All mistakes of all documents are told at once."""

from __future__ import annotations

import dataclasses
import os.path
import pathlib
import zoneinfo
from collections.abc import Iterable, Iterator, Sequence

from transom import errors, resources
from transom.spec import across, bundle, documents, problems, validate, within, yamltree


@dataclasses.dataclass(frozen=True)
class _Scan:
    """What one text gave: good documents, mistakes, and the names of the documents that are wrong."""

    loaded: tuple[bundle.Loaded, ...] = ()
    wrong: tuple[problems.Problem, ...] = ()
    broken: across.Broken = frozenset()


def load(paths: Sequence[pathlib.Path]) -> bundle.Bundle:
    """The documents of ``paths`` (a folder means its ``*.yaml``) with the shipped recipes; SpecError with every mistake."""
    files, wrong = _files(paths)
    scans = [_read(path) for path in files]
    shipped = shipped_recipes()
    own = [item for scan in scans for item in scan.loaded]
    broken = frozenset().union(*(scan.broken for scan in scans))
    docs = bundle.Bundle(tuple(own), shipped)
    wrong += [item for scan in scans for item in scan.wrong] + across.check(docs, broken)
    _refuse(wrong, [str(path) for path in files])
    return docs


def parse(text: str, name: str, where: validate.Whereabouts | None = None) -> list[bundle.Loaded]:
    """The documents of ``text``, each checked by itself; SpecError with every mistake. ``name`` is for messages; nothing is
    read but the machine's list of time zones.

    With ``where`` the paths in the documents become absolute; without it they stay as written.
    """
    scan = _scan(text, name, where)
    _refuse(scan.wrong, [name])
    return list(scan.loaded)


def assemble(own: Iterable[bundle.Loaded], shipped: Iterable[bundle.Loaded]) -> bundle.Bundle:
    """Documents that were read before (from the store, say) as one bundle; SpecError when they do not fit together."""
    docs = bundle.Bundle(tuple(own), tuple(shipped))
    _refuse(across.check(docs), dict.fromkeys(item.file for item in docs))
    return docs


def shipped_recipes() -> tuple[bundle.Loaded, ...]:
    """The recipes of ``config/recipes``, as ``recipes/NAME.yaml`` in messages."""
    found: list[bundle.Loaded] = []
    for path in sorted(resources.recipes_dir().glob("*.yaml")):
        found += parse(path.read_text(encoding="utf-8"), f"recipes/{path.name}")
    return tuple(found)


def _refuse(wrong: Iterable[problems.Problem], files: Iterable[str]) -> None:
    lines = problems.ordered(wrong, files)
    if lines:
        raise errors.SpecError(lines)


def _files(paths: Sequence[pathlib.Path]) -> tuple[list[pathlib.Path], list[problems.Problem]]:
    files: dict[str, pathlib.Path] = {}
    wrong: list[problems.Problem] = []
    for path in paths:
        inside = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
        if not inside:
            wrong.append(problems.Problem(str(path), 0, "", "this folder holds no *.yaml file"))
        for file in inside:
            files.setdefault(os.path.realpath(file), file)  # a file that is named twice is read once
    return list(files.values()), wrong


def _read(path: pathlib.Path) -> _Scan:
    # os.path rather than pathlib: it does not raise for a loop of links or a user without a home
    where = validate.Whereabouts(os.path.realpath(path.parent), os.path.expanduser("~"))  # noqa: PTH111
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        return _Scan(wrong=(problems.Problem(str(path), 0, "", f"is not UTF-8 text (byte {error.start})"),))
    except OSError as error:
        return _Scan(wrong=(problems.Problem(str(path), 0, "", f"cannot be read: {error.strerror}"),))
    return _scan(text, str(path), where)


def _scan(text: str, name: str, where: validate.Whereabouts | None) -> _Scan:
    trees, wrong = yamltree.read(text, name)
    told = {(item.line, item.path) for item in wrong}
    loaded: list[bundle.Loaded] = []
    broken: set[tuple[str, str]] = set()
    for tree in trees:
        item, faults = validate.document(tree, name, where)
        faults += [*within.check(item), *_timezones(item)] if item else []
        wrong += [fault for fault in faults if (fault.line, fault.path) not in told]
        if item and not faults:
            loaded.append(item)
        else:
            broken |= _identity(tree)
    return _Scan(tuple(loaded), tuple(wrong), frozenset(broken))


def _timezones(item: bundle.Loaded) -> Iterator[problems.Problem]:
    """Time zones that this machine does not know. Here, because its tz database is a folder of files."""
    if not isinstance(item.document, documents.Policy) or not item.document.spec.windows:
        return
    known = zoneinfo.available_timezones()
    for index, window in enumerate(item.document.spec.windows):
        if window.timezone not in known:
            hint = problems.did_you_mean(window.timezone, sorted(known)) or "; `timedatectl list-timezones` shows all"
            reason = f"{problems.shown(window.timezone)} is no time zone that this machine knows{hint}"
            yield item.problem(("spec", "windows", index, "timezone"), reason)


def _identity(tree: yamltree.Tree) -> set[tuple[str, str]]:
    metadata = tree.data.get("metadata")
    kind, name = tree.data.get("kind"), metadata.get("name") if isinstance(metadata, dict) else None
    return {(str(kind), str(name))}
