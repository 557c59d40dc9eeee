"""Many files in one answer: records of ``stat``, an empty one, hashes, an empty one (NUL ends each), then a tar of the contents.

Three forks whatever the number of files. The hash is made after the content, so a file that changed in between tells itself apart.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import re
import stat
import tarfile

from transom import model

_STAT = re.compile(r"([0-9a-f]+) ([0-9]+) ([0-9]+) ([0-9]+)\.([0-9]{9})[0-9]* (/.*)", re.DOTALL)
_HASH = re.compile(r"([0-9a-f]{40,64}) [ *](/.*)", re.DOTALL)

COLLECT = """
collect() {
  stat -L --printf '%f %u %g %.9Y %n\\0' -- "$@" $looked_at; printf '\\0'
  [ "$#" -eq 0 ] || "$hash" -z -- "$@"; printf '\\0'
  [ "$#" -eq 0 ] || tar -chPf - -b 1 --format=gnu -- "$@"
  return 0
}
"""
"""Shell function; ``$hash`` is the program, ``$looked_at`` a pattern of files to stat only, the arguments are absolute paths of
regular files, or of links to /dev/null: files without content, which hide a file of their name. A file that cannot be read is
missing from hashes and contents, and so is unknown by itself."""


@dataclasses.dataclass(frozen=True)
class Packed:
    """One file as it came; ``text`` is Unknown when the bytes are not UTF-8, changed on the way, or were not sent."""

    text: str | model.Unknown
    digest: str
    mode: int
    uid: int
    gid: int
    mtime_ns: int


def parse(body: bytes) -> dict[str, Packed]:
    """The files by path. ValueError when the answer is not of this form."""
    stats, found, rest = _records(body)
    hashes, hashed, archive = _records(rest)
    if not (found and hashed):
        raise ValueError("the list of files was cut short")
    digests = {path: digest for digest, path in (_matched(_HASH, record) for record in hashes)}
    contents = _contents(archive)
    return {record[5]: _file(record, digests, contents) for record in (_matched(_STAT, one) for one in stats)}


def _records(body: bytes) -> tuple[list[bytes], bool, bytes]:
    """The records up to the empty one, whether it was there, and what follows."""
    if body.startswith(b"\0"):
        return [], True, body[1:]
    head, mark, rest = body.partition(b"\0\0")
    return head.split(b"\0"), bool(mark), rest


def _matched(pattern: re.Pattern[str], record: bytes) -> tuple[str, ...]:
    found = pattern.fullmatch(record.decode("utf-8", "surrogateescape"))
    if found is None:
        raise ValueError(f"{record[:80]!r} is no record of a file")
    return found.groups()


def _contents(archive: bytes) -> dict[str, bytes]:
    if not archive:
        return {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:", errorlevel=2) as tar:
            return {member.name: _bytes(tar, member) for member in tar.getmembers() if member.isreg() or member.islnk()}
    except tarfile.TarError as fault:
        raise ValueError(f"the contents do not unpack: {fault}") from fault


def _bytes(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    handle = tar.extractfile(member)
    if handle is None:
        raise ValueError(f"{member.name} has no content")
    return handle.read()


def _file(record: tuple[str, ...], digests: dict[str, str], contents: dict[str, bytes]) -> Packed:
    mode, uid, gid, seconds, nanoseconds, path = record
    digest = digests.get(path, "")
    masked = stat.S_ISCHR(int(mode, 16))  # in a tar a device has no content
    return Packed(
        text=_text(b"" if masked else contents.get(path), digest),
        digest=digest,
        mode=int(mode, 16) & 0o7777,
        uid=int(uid),
        gid=int(gid),
        mtime_ns=int(seconds) * 1_000_000_000 + int(nanoseconds),
    )


def _text(content: bytes | None, digest: str) -> str | model.Unknown:
    if content is None or not digest:
        return model.Unknown("it could not be read")
    algorithm = hashlib.sha1 if len(digest) == 40 else hashlib.sha256
    if algorithm(content).hexdigest() != digest:
        return model.Unknown("changed while it was read")
    try:
        return content.decode()
    except UnicodeDecodeError:
        return model.Unknown("not UTF-8")
