"""What the answers of the script mean, and what is refused before anything is sent."""

from __future__ import annotations

import pytest

from transom import errors, ssh
from transom.ssh import files

HEX = "ab" * 32


class Answering:
    """A host that answers with what it was given, and keeps what it was asked."""

    def __init__(self, stdout: bytes = b"", exit: int = 0, stderr: bytes = b"") -> None:
        self.completed = ssh.Completed(exit, stdout, stderr)
        self.asked: list[tuple[object, ...]] = []

    def script(self, text, args=(), *, stdin=b"", timeout=60, read_only=False):
        self.asked.append((text, args, stdin, timeout, read_only))
        return self.completed


def _write(host, path="/etc/x", **changes):
    given = {"mode": 0o644, "expect": None, "backup": None, **changes}
    return files.write(host, path, b"data", **given)


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (b"changed absent\n", errors.Void, "/etc/x is absent"),
        (b"busy /run/lock/transom.lock\n", errors.Busy, "for 10 s"),
        (b"differs " + HEX.encode(), errors.VerifyFailed, HEX),
        (b"torn abc\n", errors.Unreachable, "not all bytes"),
        (b"refused is not a regular file\n", errors.Rejected, "/etc/x is not a regular file"),
        (b"unkept has no before-image\n", errors.Rejected, "no before-image"),
        (b"broke cannot sync /etc\n", errors.Rejected, "cannot sync /etc"),
        (b"hello there\n", errors.Garbled, "'hello'"),
        (b"", errors.Rejected, "exit 0"),
    ],
)
def test_answers(answer, error, says):
    with pytest.raises(error, match=says):
        _write(Answering(answer))


def test_written_and_same():
    assert _write(Answering(b"written " + HEX.encode()))
    assert not _write(Answering(b"same " + HEX.encode()))


def test_a_shell_that_failed_is_rejected_with_its_words():
    with pytest.raises(errors.Rejected, match=r"exit 127: sh: flock: not found"):
        _write(Answering(b"written x\n", exit=127, stderr=b"sh: flock: not found\n"))


@pytest.mark.parametrize(
    "path", ["", "/", "etc/x", "/etc/../x", "/etc//x", "/etc/x/", "/etc/./x", "/a\nb", "/a\tb", "/a\0"]
)
def test_only_plain_absolute_paths(path):
    host = Answering(b"written x")
    for backup, target in ((None, path), (path or "x", "/etc/x")):
        with pytest.raises(ValueError, match="not a plain absolute path"):
            _write(host, target, backup=backup)
    assert host.asked == []


@pytest.mark.parametrize(
    "changes", [{"expect": "absent"}, {"expect": "AB" * 32}, {"owner": "root"}, {"owner": "0:0 x"}]
)
def test_hashes_and_owners_have_one_form(changes):
    host = Answering(b"written x")
    with pytest.raises(ValueError):
        _write(host, **changes)
    assert host.asked == []


def test_the_manifest_is_understood():
    lines = f"/etc/a\tfile\t{HEX}\t0644\t0:0\t1700000000\n/etc/b\tabsent\t-\t-\t-\t-\n/etc/d\tdir\t-\t0755\t-\t-\n"
    assert files.kept(Answering(lines.encode()), "/var/backup") == (
        files.Kept("/etc/a", "file", HEX, 0o644, "0:0", 1700000000),
        files.Kept("/etc/b", "absent", None, None, None, None),
        files.Kept("/etc/d", "dir", None, 0o755, None, None),
    )
    assert files.kept(Answering(exit=44), "/var/backup") == ()
    with pytest.raises(errors.Garbled):
        files.kept(Answering(b"/etc/a\tfile\n"), "/var/backup")
