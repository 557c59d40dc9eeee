"""Changing files with the real shell and tools: what is refused, kept, brought back, and what a kill at any point leaves."""

from __future__ import annotations

import fcntl
import os
import pathlib
import stat
import threading

import pytest

from transom import errors, ssh
from transom.ssh import files

ODD = bytes(range(256)) + b"\r\n\0\n\n' \" $x `id` \\"


@pytest.fixture(params=["shell", "ssh"])
def place(request, tmp_path):
    """A host and a folder on it."""
    if request.param == "shell":
        yield request.getfixturevalue("local"), tmp_path
        return
    server = request.getfixturevalue("server")
    folder = server.folder / tmp_path.name
    folder.mkdir()
    with ssh.connect(server.access()) as host:
        yield host, folder


def tree(folder: pathlib.Path) -> dict[str, tuple[int, bytes]]:
    """Every file under ``folder`` with mode and bytes, every folder with its mode; without what the fixture put there."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if name.split("/")[0] not in ("lock", "passwd", "shims"):
            found[name] = (stat.S_IMODE(path.stat().st_mode), path.read_bytes() if path.is_file() else b"")
    return found


def test_read(place):
    host, folder = place
    (folder / "odd").write_bytes(ODD)
    (folder / "link").symlink_to("odd")
    (folder / "dangling").symlink_to("nothing")
    assert files.read(host, f"{folder}/odd") == ODD
    assert files.read(host, f"{folder}/link") == ODD
    assert files.read(host, f"{folder}/none") is None
    for name in ("dangling", ""):
        with pytest.raises(errors.Rejected, match="cannot read"):
            files.read(host, f"{folder}/{name}".rstrip("/"))


def test_a_new_file_and_back(place):
    host, folder = place
    before = tree(folder)
    path, backup = f"{folder}/etc/x.d/new.conf", f"{folder}/backup/1"
    assert files.write(host, path, ODD, mode=0o640, expect=None, backup=backup)
    written = pathlib.Path(path)
    assert (written.read_bytes(), stat.S_IMODE(written.stat().st_mode)) == (ODD, 0o640)
    assert stat.S_IMODE((folder / "etc").stat().st_mode) == 0o755
    assert stat.S_IMODE((folder / "backup/1").stat().st_mode) == 0o700
    assert files.restore(host, path, expect=files.sha256(ODD), backup=backup)
    assert not files.restore(host, path, expect=files.sha256(ODD), backup=backup)
    after = {name: value for name, value in tree(folder).items() if not name.startswith("backup")}
    assert after == before


def test_a_changed_file_and_back(place):
    host, folder = place
    target = folder / "grub"
    target.write_bytes(ODD)
    target.chmod(0o604)
    backup = f"{folder}/backup"
    assert files.write(host, str(target), b"one", mode=0o644, expect=files.sha256(ODD), backup=backup)
    assert files.write(host, str(target), b"two", mode=0o600, expect=files.sha256(b"one"), backup=backup)
    assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (b"two", 0o600)
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == []
    (line,) = files.kept(host, backup)
    assert (line.path, line.was, line.sha256, line.mode) == (str(target), "file", files.sha256(ODD), 0o604)
    assert line.mtime is not None
    assert files.restore(host, str(target), expect=files.sha256(b"two"), backup=backup)
    assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (ODD, 0o604)


def test_a_removed_file_and_back(place):
    host, folder = place
    target = folder / "gone"
    target.write_bytes(ODD)
    backup = f"{folder}/backup"
    assert files.remove(host, str(target), expect=files.sha256(ODD), backup=backup)
    assert not target.exists()
    assert not files.remove(host, str(target), expect=files.sha256(ODD), backup=backup)
    assert files.restore(host, str(target), expect=None, backup=backup)
    assert target.read_bytes() == ODD


def test_the_same_content_again_writes_nothing(local, tmp_path):
    target = tmp_path / "same"
    assert files.write(local, str(target), b"x", mode=0o644, expect=None, backup=f"{tmp_path}/backup")
    inode = target.stat().st_ino
    assert not files.write(local, str(target), b"x", mode=0o644, expect=None, backup=f"{tmp_path}/later")
    assert target.stat().st_ino == inode
    assert not (tmp_path / "later").exists()


def test_only_the_mode_differs(local, tmp_path):
    target = tmp_path / "mode"
    target.write_bytes(b"x")
    target.chmod(0o600)
    digest = files.sha256(b"x")
    assert files.write(local, str(target), b"x", mode=0o644, expect=digest, backup=f"{tmp_path}/backup")
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    assert files.restore(local, str(target), expect=digest, backup=f"{tmp_path}/backup")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_an_empty_file_is_not_an_absent_one(local, tmp_path):
    target = tmp_path / "empty"
    assert files.write(local, str(target), b"", mode=0o644, expect=None, backup=f"{tmp_path}/backup")
    assert files.read(local, str(target)) == b""
    assert files.write(local, str(target), b"x", mode=0o644, expect=files.sha256(b""), backup=f"{tmp_path}/second")
    assert files.restore(local, str(target), expect=files.sha256(b"x"), backup=f"{tmp_path}/second")
    assert target.read_bytes() == b""


def test_a_big_file(place):
    host, folder = place
    data = os.urandom(5 << 20)
    assert files.write(host, f"{folder}/big.rom", data, mode=0o644, expect=None, backup=None)
    assert (folder / "big.rom").read_bytes() == data


def test_the_owner_is_kept_or_set(local, tmp_path):
    target = tmp_path / "owned"
    target.write_bytes(b"x")
    write = {"mode": 0o644, "expect": files.sha256(b"x"), "backup": None}
    with pytest.raises(errors.Rejected, match="cannot give it to 0:0"):
        files.write(local, str(target), b"y", owner="0:0", **write)
    assert tree(tmp_path) == {"owned": (0o644, b"x")}
    assert files.write(local, str(target), b"y", owner="1000:1000", **write)


def _write(host, path, expect, backup):
    files.write(host, path, b"new", mode=0o644, expect=expect, backup=backup)


def _remove(host, path, expect, backup):
    files.remove(host, path, expect=expect, backup=backup)


def _restore(host, path, expect, backup):
    files.restore(host, path, expect=expect, backup=backup)


@pytest.mark.parametrize("operation", [_write, _remove, _restore])
def test_what_someone_changed_meanwhile_is_left_alone(local, tmp_path, operation):
    target = tmp_path / "theirs"
    backup = f"{tmp_path}/backup"
    target.write_bytes(b"first")
    files.write(local, str(target), b"ours", mode=0o644, expect=files.sha256(b"first"), backup=backup)
    target.write_bytes(b"theirs")
    before = tree(tmp_path)
    ours = files.sha256(b"ours")
    with pytest.raises(errors.Void) as caught:
        operation(local, str(target), ours, backup)
    for part in (str(target), files.sha256(b"theirs"), ours):
        assert part in str(caught.value)
    assert tree(tmp_path) == before


def test_a_file_that_should_not_be_there(local, tmp_path):
    target = tmp_path / "there"
    target.write_bytes(b"x")
    with pytest.raises(errors.Void, match="expected was absent"):
        files.write(local, str(target), b"y", mode=0o644, expect=None, backup=None)
    target.unlink()
    with pytest.raises(errors.Void, match="is absent, expected was"):
        files.write(local, str(target), b"y", mode=0o644, expect=files.sha256(b"x"), backup=None)


def test_links_folders_and_devices_are_refused(local, tmp_path):
    (tmp_path / "real").write_bytes(b"x")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    for name, why in (
        ("link", "symbolic link to real"),
        ("dangling", "symbolic link to nowhere"),
        ("folder", "not a regular file"),
        ("fifo", "not a regular file"),
    ):
        with pytest.raises(errors.Rejected, match=why):
            files.write(local, f"{tmp_path}/{name}", b"y", mode=0o644, expect=None, backup=None)
        with pytest.raises(errors.Rejected, match=why):
            files.remove(local, f"{tmp_path}/{name}", expect=None, backup=None)
    assert (tmp_path / "real").read_bytes() == b"x"
    assert (tmp_path / "link").is_symlink()


def test_bytes_that_do_not_all_arrive_change_nothing(local, tmp_path):
    class Torn:
        def script(self, text, args=(), *, stdin=b"", timeout=60, read_only=False):
            return local.script(text, args, stdin=stdin[:-1], timeout=timeout, read_only=read_only)

    target = tmp_path / "whole"
    target.write_bytes(b"old")
    with pytest.raises(errors.Unreachable, match="not all bytes arrived"):
        files.write(Torn(), str(target), b"new!", mode=0o644, expect=files.sha256(b"old"), backup=None)
    assert tree(tmp_path) == {"whole": (0o644, b"old")}


def test_a_backup_that_is_not_there_or_damaged(local, tmp_path):
    target = tmp_path / "file"
    with pytest.raises(errors.Rejected, match="no before-image"):
        files.restore(local, str(target), expect=None, backup=f"{tmp_path}/none")
    target.write_bytes(b"old")
    digest = files.sha256(b"old")
    files.write(local, str(target), b"new", mode=0o644, expect=digest, backup=f"{tmp_path}/backup")
    (tmp_path / "backup" / digest).write_bytes(b"rotten")
    with pytest.raises(errors.Rejected, match="damaged before-image"):
        files.restore(local, str(target), expect=files.sha256(b"new"), backup=f"{tmp_path}/backup")
    assert target.read_bytes() == b"new"


def test_a_path_that_ends_like_another_is_not_mixed_up(local, tmp_path):
    backup = f"{tmp_path}/backup"
    (tmp_path / "etc").mkdir()
    for name in ("etc/a", "a", "a.b"):
        (tmp_path / name).write_bytes(name.encode())
        files.write(local, f"{tmp_path}/{name}", b"new", mode=0o644, expect=files.sha256(name.encode()), backup=backup)
    for name in ("a", "a.b", "etc/a"):
        files.restore(local, f"{tmp_path}/{name}", expect=files.sha256(b"new"), backup=backup)
        assert (tmp_path / name).read_bytes() == name.encode()


def test_folders_with_other_files_stay(local, tmp_path):
    path, backup = f"{tmp_path}/new/deep/file", f"{tmp_path}/backup"
    files.write(local, path, b"x", mode=0o644, expect=None, backup=backup)
    (tmp_path / "new/theirs").write_bytes(b"y")
    files.restore(local, path, expect=files.sha256(b"x"), backup=backup)
    assert not (tmp_path / "new/deep").exists()
    assert (tmp_path / "new/theirs").read_bytes() == b"y"


def test_pmxcfs_gets_no_modes_and_no_hidden_names(local, tmp_path):
    shims = tmp_path / "shims"
    shims.mkdir()
    for name in ("chmod", "chown"):
        (shims / name).write_text("#!/bin/sh\necho not on pmxcfs >&2\nexit 1\n")
        (shims / name).chmod(0o755)
    local.path = str(shims)
    target = tmp_path / "200.conf"
    target.write_bytes(b"cores: 1\n")
    old, new = files.sha256(b"cores: 1\n"), files.sha256(b"cores: 2\n")
    backup = f"{tmp_path}/backup"
    assert files.write(local, str(target), b"cores: 2\n", mode=0o640, expect=old, backup=backup, on_pmxcfs=True)
    assert not files.write(local, str(target), b"cores: 2\n", mode=0o640, expect=old, backup=backup, on_pmxcfs=True)
    assert target.read_bytes() == b"cores: 2\n"
    assert files.restore(local, str(target), expect=new, backup=backup, on_pmxcfs=True)
    assert target.read_bytes() == b"cores: 1\n"
    assert files.remove(local, str(target), expect=old, backup=backup, on_pmxcfs=True)
    with pytest.raises(errors.Rejected, match="folder is missing"):
        files.write(local, f"{tmp_path}/none/1.conf", b"", mode=0, expect=None, backup=None, on_pmxcfs=True)


def test_a_full_disk_leaves_the_old_file(local, tmp_path):
    shims = tmp_path / "shims"
    shims.mkdir()
    (shims / "sync").write_text("#!/bin/sh\necho 'No space left on device' >&2\nexit 1\n")
    (shims / "sync").chmod(0o755)
    local.path = str(shims)
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with pytest.raises(errors.Rejected, match="No space left on device"):
        files.write(local, str(target), b"new", mode=0o644, expect=files.sha256(b"old"), backup=None)
    assert tree(tmp_path) == {"file": (0o644, b"old")}


def test_two_writers_take_turns(local, tmp_path):
    """Each adds a line to what it read; with the lock and the expectation no line is lost."""
    target = tmp_path / "lines"
    target.write_bytes(b"")
    path, problems = str(target), []

    def add(name: str) -> None:
        for number in range(4):
            while True:
                present = files.read(local, path) or b""
                line = f"{name}{number}\n".encode()
                try:
                    files.write(local, path, present + line, mode=0o644, expect=files.sha256(present), backup=None)
                except errors.Void:
                    continue
                except errors.TransomError as error:
                    problems.append(error)
                break

    threads = [threading.Thread(target=add, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert sorted(target.read_text().split()) == ["a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3"]


def test_a_lock_held_too_long_is_busy(local, tmp_path):
    (tmp_path / "lock").mkdir()
    with (tmp_path / "lock/transom.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(errors.Busy, match=r"/run/lock/transom\.lock"):
            files.write(local, f"{tmp_path}/x", b"", mode=0o644, expect=None, backup=None)


SHIMMED = ("cat", "sha256sum", "sync", "mv", "rm", "mkdir", "chmod", "stat", "rmdir")


def _kill_at(folder: pathlib.Path, step: int, when: str) -> None:
    """Every tool counts; at ``step`` all processes of the host die, before or after the tool did its work."""
    (folder / "shims").mkdir(exist_ok=True)
    (folder / "shims/count").write_text("0\n")
    for name in SHIMMED:
        die = f'[ "$n" = {step} ] && kill -9 -1'
        before, after = (die, ":") if when == "before" else (":", die)
        shim = folder / "shims" / name
        shim.write_text(
            f"#!/bin/sh\nread n < {folder}/shims/count\nn=$((n + 1))\necho $n > {folder}/shims/count\n"
            f'{before}\n/usr/bin/{name} "$@"\nend=$?\n{after}\nexit $end\n'
        )
        shim.chmod(0o755)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("there", [True, False], ids=["over-old", "new"])
def test_killed_anywhere_it_is_old_or_new_and_goes_on(local, tmp_path, there, when):
    """Write, killed at each tool that it runs; again; undo, killed likewise; again: byte for byte as before."""
    step = 0
    killed = 0
    while True:
        step += 1
        root = tmp_path / f"at{step}"
        root.mkdir()
        target = root / "made" / "file" if not there else root / "file"
        if there:
            target.write_bytes(b"old")
        before, backup = tree(root), f"{tmp_path}/backup{step}"
        expect = files.sha256(b"old") if there else None

        def write(host, target=target, expect=expect, backup=backup):
            return files.write(host, str(target), b"new", mode=0o644, expect=expect, backup=backup)

        def undo(host, target=target, backup=backup):
            return files.restore(host, str(target), expect=files.sha256(b"new"), backup=backup)

        ended = [_interrupted(local, tmp_path, step, when, change, target) for change in (write, undo)]
        assert tree(root) == before
        assert len({line.path for line in files.kept(local, backup)}) == len(files.kept(local, backup))
        if all(ended):
            break
        killed += 1
    assert killed > 10


def _interrupted(local, folder, step, when, change, target) -> bool:
    """Whether ``change`` got through; if not it is done again, undisturbed."""
    _kill_at(folder, step, when)
    local.path = str(folder / "shims")
    try:
        change(local)
        return True
    except errors.Rejected:
        assert not target.exists() or target.read_bytes() in (b"old", b"new")
        return False
    finally:
        local.path = ""
        change(local)
        assert [path.name for path in target.parent.glob(".*")] == []
