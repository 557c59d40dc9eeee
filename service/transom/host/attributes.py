"""Small files of sysfs as ``grep -H .`` prints them with NUL behind the name (``-Z``), since PCI addresses hold colons."""

from __future__ import annotations


def parse(body: bytes) -> dict[str, str]:
    """Path → first line of the file. ValueError for a line that is none."""
    found: dict[str, str] = {}
    for line in body.decode("utf-8", "replace").splitlines():
        path, mark, value = line.partition("\0")
        if not mark:
            raise ValueError(f"{line[:80]!r} is no attribute")
        found.setdefault(path, value)
    return found


def folders(attributes: dict[str, str]) -> dict[str, dict[str, str]]:
    """Folder → name → value, for paths of the form ``folder/name``."""
    found: dict[str, dict[str, str]] = {}
    for path, value in attributes.items():
        folder, _, name = path.rpartition("/")
        found.setdefault(folder, {})[name] = value
    return found
