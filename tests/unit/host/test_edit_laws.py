"""What every setting's ``edit`` keeps to, for any text at all: undone to the byte, done once, nothing foreign touched."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from transom.host import grub_edit, lines, registry
from transom.host.settings import blacklist, module_options, modules, softdep, sysctl, vfio_ids

ITEMS = {
    "kernel_cmdline": [
        "quiet",
        "iommu=pt",
        "intel_iommu=on",
        "memmap=1G$4G",
        'dyndbg="file a +p"',
        "a=`b`",
        "c=d\\",
        "#x",
        "e='f'",
        "g;h",
    ],
    "modules": ["vfio", "vfio_pci", "kvmgt"],
    "vfio_ids": ["8086:9bc8", "8086:a348", "10de:1f08:1043:8727"],
    "blacklist": ["i915", "snd_hda_intel", "xe"],
    "softdep": ["i915", "xe", "nouveau"],
    "module_options": ["kvm.ignore_msrs=1", "vfio_pci.disable_idle_d3=1", "kvm.halt_poll_ns=0"],
    "sysctl": ["vm.nr_hugepages=1024", "net.ipv4.ip_forward=1"],
}
LINES = [
    "",
    "# a comment",
    "# joined \\",
    "\\",
    " ",
    lines.HEADER,
    "i915",
    "vfio_pci",
    "  vfio-pci\t",
    "; other",
    "x\r",
    "blacklist i915",
    " \\blacklist xe",
    "blacklist \\",
    "blacklist xe # why",
    "install i915 /bin/false",
    "options vfio-pci ids=8086:9bc8",
    "options vfio_pci disable_vga=1 ids=1:2,8086:A348,",
    'options vfio-pci ids="1:2,3:4" x=1',
    "options vfio-pci ids=",
    "options kvm ignore_msrs=1",
    "options kvm  ignore_msrs=1 halt_poll_ns=0",
    "-vm.nr_hugepages=1024",
    "net/ipv4/ip_forward = 1",
    "options vfio-pci ids=1:2 \\",
    "options vfio-pci ids=1:\\2\\,8086:9bc8",
    "softdep i915 pre: vfio-pci",
    "softdep xe pre: drm",
    'GRUB_CMDLINE_LINUX_DEFAULT="quiet"',
    'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT iommu=pt"',
    'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT  mine   iommu=pt "',
    'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT"',
    'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT quiet" # why',
    'GRUB_CMDLINE_LINUX_DEFAULT="${GRUB_CMDLINE_LINUX_DEFAULT} intel_iommu=on iommu=pt"',
    'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT intel_iommu=on iommu=pt" # for win11',
    'export GRUB_CMDLINE_LINUX_DEFAULT="mine $GRUB_CMDLINE_LINUX_DEFAULT \\\n  iommu=pt \\\n quiet"',
    "GRUB_CMDLINE_LINUX_DEFAULT='iommu=pt a'; GRUB_CMDLINE_LINUX=\"intel_iommu=on\"",
    'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT iommu=pt $X"',
    "GRUB_CMDLINE_LINUX_DEFAULT=$GRUB_CMDLINE_LINUX_DEFAULT\\ iommu=pt",
    "GRUB_CMDLINE_LINUX='a",
    "if true; then",
    "A=$(x",
    "B=1; C=2",
]
TEXTS = st.one_of(
    st.builds(
        lambda parts, end: "\n".join(parts) + end,
        st.lists(st.sampled_from(LINES), max_size=6),
        st.sampled_from(["", "\n", "\r\n"]),
    ),
    st.text(alphabet=st.sampled_from(list("ab =\"'$\\`#,:\n\t")), max_size=30),
)
READERS = {
    "kernel_cmdline": grub_edit.items,
    "modules": lambda text: [place.value for place in modules._FORM.places(text)],
    "vfio_ids": lambda text: option.ids if (option := vfio_ids._own_option(text)) else (),
    "blacklist": lambda text: [place.value for place in blacklist._FORM.places(text)],
    "module_options": lambda text: [one.item for one in module_options._options(text, "")],
    "sysctl": lambda text: [place.value for place in sysctl._FORM.places(text)],
    "softdep": lambda text: [place.value for place in softdep._FORM.places(text)],
}


@pytest.mark.parametrize("key", READERS)
@given(data=st.data())
@settings(max_examples=400)
def test_adding_is_undone_to_the_byte_and_done_once(key, data):
    text, one, wanted = _draw(key, data)
    added = frozenset(wanted) - set(READERS[key](text))
    after = one.edit(text, frozenset(), wanted)
    assert one.edit(after, frozenset(), wanted) == after
    assert one.edit(after, added, wanted) == after
    assert one.edit(after, added, ()) == text
    assert set(READERS[key](after)) == set(READERS[key](text)) | set(wanted)


@pytest.mark.parametrize("key", READERS)
@given(data=st.data())
@settings(max_examples=400)
def test_owned_items_go_and_come_and_lines_of_others_stay(key, data):
    text, one, wanted = _draw(key, data)
    owned = frozenset(data.draw(st.lists(st.sampled_from(ITEMS[key]), unique=True)))
    after = one.edit(text, owned, wanted)
    assert one.edit(after, owned, wanted) == after
    left = set(READERS[key](after))
    assert set(wanted) <= left
    assert not left & (owned - set(wanted))
    if key != "vfio_ids":  # there an earlier line of the file counts again when the last one goes
        assert left == (set(READERS[key](text)) - owned) | set(wanted)
    if "\\" not in text:
        assert [line for line in _foreign(text) if line not in _foreign(after)] == []


@pytest.mark.parametrize("key", READERS)
@given(data=st.data())
@settings(max_examples=120)
def test_any_sequence_of_edits_is_idempotent_and_undone_to_the_byte(key, data):
    """``owned`` as the ledger keeps it: what the edits brought; what stood there before is never owned."""
    text, one, _ = _draw(key, data)
    there = set(READERS[key](text))
    now, owned = text, frozenset()
    for wanted in data.draw(st.lists(st.lists(st.sampled_from(ITEMS[key]), unique=True), max_size=5)):
        now = one.edit(now, owned, tuple(wanted))
        owned = frozenset(wanted) - there
        assert one.edit(now, owned, tuple(wanted)) == now
    assert one.edit(now, owned, ()) == text


@pytest.mark.parametrize("key", READERS)
def test_an_empty_file_gets_a_header_and_goes_again(key):
    one = registry.by_key(key)
    after = one.edit("", frozenset(), tuple(ITEMS[key]))
    assert after.startswith(lines.HEADER + "\n")
    assert after.endswith("\n")
    assert one.edit(after, frozenset(ITEMS[key]), ()) == ""


@given(order=st.permutations(["vfio_ids", "blacklist", "softdep", "module_options"]), text=TEXTS)
@settings(max_examples=200)
def test_settings_that_share_a_file_leave_each_other_alone(order, text):
    assume(text.strip() != lines.HEADER)
    before = {key: set(READERS[key](text)) for key in order}
    edited = text
    for key in order:
        edited = registry.by_key(key).edit(edited, frozenset(), tuple(ITEMS[key]))
    assert all(set(READERS[key](edited)) == before[key] | set(ITEMS[key]) for key in order)
    for key in order:
        edited = registry.by_key(key).edit(edited, frozenset(ITEMS[key]) - before[key], ())
    assert edited == text


def _draw(key, data):
    text = data.draw(TEXTS)
    assume(text.strip() != lines.HEADER)
    return text, registry.by_key(key), tuple(data.draw(st.lists(st.sampled_from(ITEMS[key]), unique=True)))


def _foreign(text):
    """Lines that no setting of ours would write."""
    ours = (
        "blacklist ",
        "options ",
        "-vm.nr",
        "net/",
        "vm.",
        "net.",
        "softdep ",
        "GRUB_CMDLINE_LINUX_DEFAULT=",
        lines.HEADER,
    )
    bare = {item for items in ITEMS.values() for item in items}
    found = [line.rstrip("\r") for line in text.split("\n")]
    return [
        line
        for line in found
        if line.strip() and not line.lstrip(" \\").startswith(ours) and line.strip().replace("-", "_") not in bare
    ]
