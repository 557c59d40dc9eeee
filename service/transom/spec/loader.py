"""Reads documents: the only part of ``spec`` that touches files. All mistakes of all documents are told at once."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import os.path
import pathlib
import shlex
import stat
import zoneinfo
from collections.abc import Iterable, Iterator, Mapping, Sequence

from transom import errors, resources
from transom.spec import across, bundle, documents, problems, validate, within, yamltree


@dataclasses.dataclass(frozen=True)
class _Scan:
    """What one text gave: documents (what is left of them, where there are mistakes), mistakes, and the kinds and names of
    those of which nothing is left."""

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


def parse_together(
    texts: Iterable[tuple[str, str, validate.Whereabouts | None]],
    beside: Iterable[bundle.Loaded],
    shipped: Iterable[bundle.Loaded],
) -> list[bundle.Loaded]:
    """As ``parse`` for several texts (text, name, where) that take the place of documents ``beside`` of the same kind and name;
    SpecError also with what does not fit together then."""
    named = [(name, _scan(text, name, where)) for text, name, where in texts]
    own = [item for _, scan in named for item in scan.loaded]
    titles = {item.title for item in own}
    rest = [item for item in beside if item.title not in titles]
    broken = frozenset().union(*(scan.broken for _, scan in named))
    docs = bundle.Bundle((*rest, *own), tuple(shipped), frozenset(item.title for item in rest))
    wrong = [item for _, scan in named for item in scan.wrong] + across.check(docs, broken)
    _refuse(wrong, [name for name, _ in named])
    return own


def texts(paths: Sequence[pathlib.Path]) -> list[tuple[pathlib.Path, str]]:
    """The files that ``load`` would read, unread by anybody; SpecError with every one that cannot be read as text."""
    files, wrong = _files(paths)
    found = [(path, _text(path)) for path in files]
    wrong += [text for _, text in found if isinstance(text, problems.Problem)]
    _refuse(wrong, [str(path) for path in files])
    return [(path, text) for path, text in found if isinstance(text, str)]


def assemble(
    own: Iterable[bundle.Loaded], shipped: Iterable[bundle.Loaded], stored: frozenset[str] = frozenset()
) -> bundle.Bundle:
    """Documents that were read before (from the store, say) as one bundle; SpecError when they do not fit together.

    ``stored``: as in ``Bundle``.
    """
    docs = bundle.Bundle(tuple(own), tuple(shipped), stored)
    _refuse(across.check(docs), dict.fromkeys(item.file for item in docs))
    return docs


def shipped_recipes() -> tuple[bundle.Loaded, ...]:
    """The recipes of ``config/recipes``, as ``recipes/NAME.yaml`` in messages."""
    found: list[bundle.Loaded] = []
    for path in sorted(resources.recipes_dir().glob("*.yaml")):
        found += parse(path.read_text(encoding="utf-8"), f"recipes/{path.name}")
    return tuple(found)


def _refuse(wrong: Iterable[problems.Problem], files: Iterable[str]) -> None:
    found = problems.ordered(wrong, files)
    if found:
        raise errors.SpecError(found)


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
    text = _text(path)
    if isinstance(text, problems.Problem):
        return _Scan(wrong=(text,), broken=frozenset({("", "")}))
    return _scan(text, str(path), where)


def _text(path: pathlib.Path) -> str | problems.Problem:
    """What it holds, or why that cannot be told."""
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        return problems.Problem(str(path), 0, "", f"is not UTF-8 text (byte {error.start})")
    except OSError as error:
        return problems.Problem(str(path), 0, "", f"cannot be read: {error.strerror}")


def _scan(text: str, name: str, where: validate.Whereabouts | None) -> _Scan:
    trees, wrong = yamltree.read(text, name)
    told = {(item.line, item.path) for item in wrong}
    broken = {("", "") for item in wrong if not item.path}  # a document, or the rest of the text, could not be read
    zones = functools.cache(zoneinfo.available_timezones)  # walks a folder
    loaded: list[bundle.Loaded] = []
    for tree in trees:
        item, faults = validate.document(tree, name, where, zones)
        faults += within.check(item) if item else []
        wrong += [fault for fault in faults if (fault.line, fault.path) not in told]
        if item:
            loaded.append(item)
        else:
            broken.add(_identity(tree))
    return _Scan(tuple(loaded), tuple(wrong), frozenset(broken))


def _identity(tree: yamltree.Tree) -> tuple[str, str]:
    """Kind and name of a document of which nothing is left; empty where they are not known."""
    metadata = tree.data.get("metadata")
    kind, name = tree.data.get("kind"), metadata.get("name") if isinstance(metadata, dict) else None
    return (kind if isinstance(kind, str) and kind in documents.KINDS else "", name if isinstance(name, str) else "")


# --- files that documents name ---------------------------------------------------------------------------------------


_MISSING = "does not exist"


def check_files(
    docs: bundle.Bundle, environ: Mapping[str, str] | None = None, *, absent: bool = True
) -> list[problems.Problem]:
    """What is wrong with the files and environment variables that the documents name, as this process sees them: ROMs, secrets,
    SSH keys, CA files. Only for where the documents are at home: another machine has other files. Without ``absent`` only
    what is here and cannot serve, not what is not here at all.

    ``environ`` is ``os.environ`` by default. No message holds a secret, nor a path or name that may be one by mistake.
    """
    here = os.environ if environ is None else environ
    found: list[problems.Problem] = []
    for item in docs.own:
        match item.document:
            case documents.Rom(spec=rom):
                found += _rom(item, rom, absent=absent)
            case documents.Cluster(spec=cluster):
                found += _cluster(item, cluster, here, absent=absent)
            case _:
                pass
    return problems.ordered(found, dict.fromkeys(item.file for item in docs))


def _cluster(
    item: bundle.Loaded, cluster: documents.ClusterSpec, environ: Mapping[str, str], *, absent: bool
) -> Iterator[problems.Problem]:
    for path, secret in cluster.secrets().items():
        if secret.env and (absent or secret.env in environ) and not environ.get(secret.env, "").strip():
            told = "is empty" if secret.env in environ else "is not set"
            hint = 'set it where Transom runs, or give "file: PATH"'
            yield item.problem((*path, "env"), f"the environment variable that it names {told}; {hint}")
        if secret.file and (fault := _unusable(secret.file, absent=absent)):
            folder = problems.path(str(pathlib.PurePath(secret.file).parent))
            hint = "put the secret there, or mend the path (it is relative to the document's folder)"
            yield item.problem((*path, "file"), f"the file that it names in {folder} {fault}; {hint}")
    if cluster.api.ca and (fault := _unusable(cluster.api.ca, absent=absent)):
        hint = "put the certificate of the CA there, or mend the path"
        yield item.problem(("spec", "api", "ca"), f"{problems.path(cluster.api.ca)} {fault}; {hint}")


def _rom(item: bundle.Loaded, rom: documents.RomSpec, *, absent: bool) -> Iterator[problems.Problem]:
    """The finished file, or the files that one is built of."""
    if rom.file:
        yield from _pinned(item, ("spec",), rom.file, rom.sha256, absent=absent)
    for path, one in within.rom_inputs(rom):
        if one.file:
            yield from _pinned(item, path, one.file, one.sha256, absent=absent)


def _pinned(
    item: bundle.Loaded, path: tuple[problems.Part, ...], file: str, sha256: str | None, *, absent: bool
) -> Iterator[problems.Problem]:
    """One file that is there, holds something, and hashes to ``sha256`` where that is given."""
    what = "ROM" if path == ("spec",) else "file"
    if fault := _unusable(file):
        if absent or fault != _MISSING:
            hint = f"put the {what} there, or mend the path (it is relative to the document's folder)"
            yield item.problem((*path, "file"), f"{problems.path(file)} {fault}; {hint}")
        return
    if sha256 is None:
        return
    try:
        with pathlib.Path(file).open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:  # it was there a moment ago
        yield item.problem((*path, "file"), f"{problems.path(file)} cannot be read: {error.strerror}")
        return
    if digest != sha256:
        name = problems.printable(pathlib.PurePath(file).name)
        hint = f"put what `sha256sum {shlex.quote(name)}` prints here, if it is the {what} that you mean"
        yield item.problem((*path, "sha256"), f"{name} has sha256 {digest}, not {sha256}; {hint}")


def _unusable(path: str, *, absent: bool = True) -> str:
    """Why the file cannot be read or holds nothing; empty when all is well. A path may be a pipe, which must not be opened."""
    try:
        mode = pathlib.Path(path).stat().st_mode
        if stat.S_ISDIR(mode):
            return "is a folder, not a file"
        if not stat.S_ISREG(mode):
            return "is no regular file"
        with pathlib.Path(path).open("rb") as file:
            return "" if file.read(1) else "is empty"
    except FileNotFoundError:
        return _MISSING if absent else ""
    except OSError as error:
        return f"cannot be read: {error.strerror}"
