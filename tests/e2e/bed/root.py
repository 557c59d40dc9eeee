"""The root file system as a tar archive: the longest step, kept by package list and suite."""

from __future__ import annotations

import pathlib
import shlex
import subprocess
from collections.abc import Mapping

from bed import cache, recipe


def tar() -> pathlib.Path:
    """The archive; without documentation, translations and most drivers, which nothing here needs."""
    parts = (recipe.SUITE, *recipe.PACKAGES, *recipe.LATER, *recipe.LEFT_OUT, recipe.INITRAMFS)
    return cache.folder("root", cache.key(*parts), _build) / "root.tar"


def unpack(where: pathlib.Path, files: Mapping[str, str]) -> None:
    """The archive and the machine's own files laid over it; needs root, for owners and device nodes."""
    where.mkdir()
    subprocess.run(["tar", "--numeric-owner", "-xpf", str(tar()), "-C", str(where)], check=True)
    for name, text in files.items():
        path = where / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def inside(where: pathlib.Path, script: str) -> None:
    """Runs a shell script in the file system by chroot; RuntimeError with all that it said when it fails."""
    done = subprocess.run(
        ["chroot", str(where), "/bin/sh", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"the new root file system could not be prepared:\n{done.stdout}")


def _build(folder: pathlib.Path) -> None:
    argv = ["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", "--format=tar"]
    argv += [f"--dpkgopt=path-{rule}" for rule in recipe.LEFT_OUT]
    # Before the packages come, so that the first initramfs of theirs is a small one.
    conf = '"$1"/etc/initramfs-tools/conf.d'
    argv += [f"--essential-hook=mkdir -p {conf} && printf %s {shlex.quote(recipe.INITRAMFS)} >{conf}/bed"]
    apt = 'APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get -qq -o APT::Sandbox::User=root'
    debs = f'"$1"/{recipe.DEBS}'
    argv += [f"--customize-hook=mkdir -p {debs} && cd {debs} && {apt} download {' '.join(recipe.LATER)}"]
    argv += ['--aptopt=APT::Install-Recommends "false"', f"--include={','.join(recipe.PACKAGES)}"]
    subprocess.run([*argv, recipe.SUITE, str(folder / "root.tar")], check=True)
