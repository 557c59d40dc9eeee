"""Our line in GRUB's drop-in, edited by a person: still ours, not written a second time, gone when nothing wants it."""

from __future__ import annotations

import dataclasses
import time

import pytest

from transom import resources
from transom.host import grub, grub_edit
from transom.plan import actions as acts
from transom.spec import loader, resolve, wish

LINE = 'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT intel_iommu=on iommu=pt"\n'


@pytest.fixture
def bare() -> wish.NodeWish:
    (node,) = resolve.resolve(loader.load([resources.recipes_dir().parent / "examples" / "seed.yaml"]))
    return dataclasses.replace(node, host={}, guests=())


def tokens(node: wish.NodeWish, *items: str) -> wish.NodeWish:
    return dataclasses.replace(node, host={"kernel_cmdline": tuple(wish.Want(one, node.document) for one in items)})


EDITS = [
    ('pt"', 'pt" # for win11', 'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT" # for win11\n'),
    ("$GRUB_CMDLINE_LINUX_DEFAULT", "${GRUB_CMDLINE_LINUX_DEFAULT}", None),
    ("GRUB_CMDLINE_LINUX_DEFAULT=", "export GRUB_CMDLINE_LINUX_DEFAULT=",
     'export GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT"\n'),
    ('"$', '"mine $', 'GRUB_CMDLINE_LINUX_DEFAULT="mine $GRUB_CMDLINE_LINUX_DEFAULT"\n'),
    (" iommu", " \\\n  iommu", 'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT \\\n "\n'),
]  # fmt: skip


@pytest.mark.parametrize(("of", "to", "left"), EDITS)
def test_an_edited_line_is_not_doubled_and_goes(desk, bare, of, to, left):
    want = tokens(bare, "intel_iommu=on", "iommu=pt")
    desk.apply(want)
    ours = desk.node.files[grub.OWN][0]
    header = ours.removesuffix(LINE)
    assert header + LINE == ours
    desk.node.write(grub.OWN, header + LINE.replace(of, to, 1))
    desk.node.reboot()
    assert not [one for one in desk.plan(want).actions if isinstance(one, acts.FILE_ACTIONS)]
    desk.apply(bare)
    assert desk.node.files.get(grub.OWN, (None,))[0] == (header + left if left else None)
    assert not {"intel_iommu=on", "iommu=pt"} & set(desk.node.cmdline)
    assert desk.ledger == {}
    assert desk.plan(bare).empty


@pytest.mark.parametrize("tail", ['"\r\n', '" # mine\n', ' $X"\n', "\\\n"])
def test_a_long_line_that_is_not_quite_ours_takes_no_time(tail):
    many = " ".join(f"a{number}=1" for number in range(200))
    began = time.process_time()
    grub_edit.edit(LINE.replace('iommu=pt"\n', many + tail), frozenset(), ("iommu=pt",))
    assert time.process_time() - began < 5  # a few milliseconds; once it doubled with each token
