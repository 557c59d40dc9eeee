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
    st.builds(
        paths.Foreign,
        st.builds("/etc/{}".format, WORD),
        st.from_regex(r"[0-9a-f]{8}", fullmatch=True),
        st.lists(st.tuples(NAME, WORD), min_size=1, max_size=3).map(tuple),
    ),
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


def test_items_with_slashes_and_signs_stay_whole():
    path = paths.Foreign("/etc/default/grub", "0123abcd", (("kernel_cmdline", "resume=/dev/sda2"), ("vfio_ids", "a+b")))
    assert str(path) == "foreign/%2Fetc%2Fdefault%2Fgrub/0123abcd/kernel_cmdline=resume%3D%2Fdev%2Fsda2+vfio_ids=a%2Bb"
    assert paths.parse(str(path)) == path
