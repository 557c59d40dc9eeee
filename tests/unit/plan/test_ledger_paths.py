"""Ledger paths: apart and together again, and whose is whose."""

from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies as st

from transom.plan import ledger_paths as paths

WORD = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=1)
NAME = st.from_regex(r"[a-z0-9_-]+", fullmatch=True)
ANY = st.one_of(
    st.builds(paths.Host, NAME, WORD),
    st.builds(paths.Foreign, NAME, WORD, st.builds("/etc/{}".format, NAME)),
    st.builds(paths.Rom, NAME),
    st.builds(paths.guest, st.integers(100, 10**9), key=NAME),
    st.builds(paths.guest, st.none(), NAME),
)


@hypothesis.given(ANY)
def test_together_and_apart(path):
    assert paths.parse(str(path)) == path


@pytest.mark.parametrize("text", ["", "qemu", "qemu/", "qemu/1/", "host/x", "rom/", "foreign/x/y", "other/1"])
def test_what_is_none(text):
    with pytest.raises(ValueError, match="no path"):
        paths.parse(text)


def test_a_longer_id_is_another_vm():
    assert paths.within("qemu/100/memory", "qemu/100")
    assert paths.within("qemu/100", "qemu/100")
    assert not paths.within("qemu/1000/memory", "qemu/100")


def test_an_item_with_slashes_is_one_item():
    path = paths.Foreign("kernel_cmdline", "resume=/dev/sda2", "/etc/default/grub")
    assert str(path) == "foreign/kernel_cmdline/resume=%2Fdev%2Fsda2/etc/default/grub"
