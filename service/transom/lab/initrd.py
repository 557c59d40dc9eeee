"""The initramfs image: a gzip-compressed cpio archive (newc), as the kernel reads it. Pure: bytes in, files out.

It carries the modprobe.d files and the modules of the moment when it was made, which is why a stale image stays stale.
"""

from __future__ import annotations

import dataclasses
import gzip
import zlib
from collections.abc import Iterable, Mapping

from transom.lab import kmod, modules

MAGIC = b"070701"
TRAILER = "TRAILER!!!"


class BadImage(ValueError):
    """The bytes are no initramfs image; on a real machine the kernel panics without a root file system."""


@dataclasses.dataclass(frozen=True)
class Image:
    """What boot needs of an image: files by path without leading slash."""

    files: Mapping[str, bytes]

    @property
    def modprobe(self) -> tuple[str, ...]:
        """Texts of the modprobe.d files inside, in kmod's order."""
        paths = kmod.order(f"/{path}" for path in self.files if "/modprobe.d/" in f"/{path}")
        return tuple(self.files[path[1:]].decode(errors="replace") for path in paths)

    @property
    def modules(self) -> frozenset[str]:
        """Names of the modules inside."""
        names = (path.rpartition("/")[2] for path in self.files if path.endswith(".ko"))
        return frozenset(kmod.normal(name.removesuffix(".ko")) for name in names)

    @property
    def listed(self) -> tuple[str, ...]:
        """Modules of ``conf/modules``, loaded by name before udev runs."""
        text = self.files.get("conf/modules", b"").decode(errors="replace")
        return tuple(kmod.normal(line.split()[0]) for line in text.splitlines() if line.split() and line[0] != "#")


def build(kernel: str, modprobe: Mapping[str, bytes], listed: str) -> Image:
    """The image for ``kernel``: ``modprobe`` are the present modprobe.d files by absolute path, ``listed`` the text of
    ``/etc/initramfs-tools/modules``."""
    files = {path.lstrip("/"): content for path, content in modprobe.items()}
    files["conf/modules"] = listed.encode()
    files["init"] = b"#!/bin/sh\n"
    texts = [content.decode(errors="replace") for _, content in sorted(modprobe.items())]
    names = Image(files).listed
    for name in contained(kernel, kmod.parse(texts), names):
        files[f"usr/lib/modules/{kernel}/kernel/{name}.ko"] = f"{name} {kernel}\n".encode()
    return Image(files)


def contained(kernel: str, config: kmod.Config, listed: Iterable[str]) -> list[str]:
    """Modules that initramfs-tools copies: its own choice and the listed ones, with what they need and their softdeps."""
    present = modules.catalogue(kernel)
    queue = [name for name, module in present.items() if module.initramfs] + [n for n in listed if n in present]
    found: set[str] = set()
    while queue:
        name = queue.pop()
        if name in present and name not in found:
            found.add(name)
            queue += [*present[name].needs, *config.pre(name)]
    return sorted(found)


def pack(image: Image) -> bytes:
    """The image as bytes; equal images give equal bytes."""
    out = bytearray()
    folders = sorted({parent for path in image.files for parent in _parents(path)})
    for number, path in enumerate([*folders, *sorted(image.files)], start=1):
        content = image.files.get(path)
        out += _member(number, path, 0o040755 if content is None else 0o100644, content or b"")
    out += _member(0, TRAILER, 0, b"")
    out += b"\0" * (-len(out) % 512)
    return gzip.compress(bytes(out), compresslevel=1, mtime=0)


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: end + 1]) for end in range(len(parts))]


def _member(number: int, path: str, mode: int, content: bytes) -> bytes:
    name = path.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
    head = MAGIC + b"".join(b"%08X" % field for field in fields) + name
    head += b"\0" * (-len(head) % 4)
    return head + content + b"\0" * (-len(content) % 4)


def unpack(data: bytes) -> Image:
    """The files of an image; BadImage when it is truncated or something else."""
    try:
        raw = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise BadImage(f"not a compressed archive: {error}") from error
    files: dict[str, bytes] = {}
    at = 0
    while True:
        path, mode, content, at = _read_member(raw, at)
        if path == TRAILER:
            return Image(files)
        if mode & 0o170000 == 0o100000:
            files[path] = content


def _read_member(raw: bytes, at: int) -> tuple[str, int, bytes, int]:
    head = raw[at : at + 110]
    if len(head) < 110 or head[:6] != MAGIC:
        raise BadImage(f"no archive member at byte {at}")
    try:
        fields = [int(head[6 + 8 * i : 14 + 8 * i], 16) for i in range(13)]
    except ValueError as error:
        raise BadImage(f"broken archive member at byte {at}") from error
    start, size = at + 110 + fields[11], fields[6]
    name = raw[at + 110 : start - 1].decode(errors="replace")
    start += -start % 4
    if start + size > len(raw):
        raise BadImage(f"the archive ends inside {name}")
    return name, fields[1], raw[start : start + size], start + size + (-size % 4)
