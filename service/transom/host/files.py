"""Looking up the files of a host in its facts: what matches a pattern, whether it was really looked for."""

from __future__ import annotations

import fnmatch

from transom import model


def listed(facts: model.Facts, pattern: str) -> tuple[model.HostFile, ...] | model.Unknown:
    """The files that match ``pattern``, by path; Unknown when the pattern was not looked at or one of them could not be read."""
    if pattern not in facts.covered:
        return model.Unknown(f"{pattern} was not looked at")
    return present(facts, pattern)


def present(facts: model.Facts, pattern: str) -> tuple[model.HostFile, ...] | model.Unknown:
    """Like ``listed``, for folders that need not be looked at: what was seen of them counts."""
    found: list[model.HostFile] = []
    for path in sorted(facts.files):
        if not fnmatch.fnmatchcase(path, pattern):
            continue
        file = readable(facts, path)
        if isinstance(file, model.Unknown):
            return file
        if isinstance(file, model.HostFile):
            found.append(file)
    return tuple(found)


def readable(facts: model.Facts, path: str) -> model.HostFile | model.Absent | model.Unknown:
    """The file, its text known; Unknown names the path."""
    file = facts.file(path)
    if isinstance(file, model.HostFile) and isinstance(file.text, model.Unknown):
        return model.Unknown(f"{path}: {file.text.unknown}")
    return file
