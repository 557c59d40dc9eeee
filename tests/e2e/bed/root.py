"""The root file system as a tar archive: the longest step, kept by package list and suite."""

from __future__ import annotations

import pathlib
import subprocess

from bed import cache, recipe


def tar() -> pathlib.Path:
    """The archive; without documentation and translations, which nothing here reads."""
    return cache.folder("root", cache.key(recipe.SUITE, *recipe.PACKAGES), _build) / "root.tar"


def unpack(where: pathlib.Path) -> None:
    """The archive and the machine's own files laid over it; needs root, for owners and device nodes."""
    where.mkdir()
    subprocess.run(["tar", "--numeric-owner", "-xpf", str(tar()), "-C", str(where)], check=True)
    for name, text in recipe.FILES.items():
        path = where / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _build(folder: pathlib.Path) -> None:
    unread = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "doc", "locale", "info")]
    argv = ["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", "--format=tar", *unread]
    argv += ['--aptopt=APT::Install-Recommends "false"', f"--include={','.join(recipe.PACKAGES)}"]
    subprocess.run([*argv, recipe.SUITE, str(folder / "root.tar")], check=True)
