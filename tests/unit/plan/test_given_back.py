"""Declare, take over, undeclare: every file comes back to the byte, whatever stood in it; what a person changed is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transom import model
from transom.host import lines
from transom.plan import actions as acts
from transom.plan import draft, host, ledger_paths, places
from transom.spec import wish

MODPROBE = [
    "options vfio-pci ids=10de:1b81",
    "options vfio-pci ids=10de:1b81,10de:10f0 disable_vga=1",
    "options vfio_pci ids=8086:9bc8,10de:1b81",
    "options vfio-pci ids=",
    "options kvm ignore_msrs=0",
    "options kvm ignore_msrs=0",
    "options kvm ignore_msrs=0 report_ignored_msrs=0",
    "options kvm \\\n  ignore_msrs=0 \\\n  report_ignored_msrs=0",
    "options kvm report_ignored_msrs=0 \\\n  ignore_msrs=0",
    "options vfio-pci \\\n  ids=10de:1b81",
    "options kvm_intel nested=0",
    "\toptions kvm ignore_msrs=0\t",
    "options vfio-pci ids=10de:1b81\r",
    "options kvm ignore_msrs=0\rx",
    "softdep i915 pre: drm",
    "blacklist i915",
    "# a comment",
    "# c \\",
    f"{lines.TAKEN_OVER}options kvm ignore_msrs=0",
    "",
]
GRUB = [
    'GRUB_CMDLINE_LINUX_DEFAULT="quiet"',
    'GRUB_CMDLINE_LINUX_DEFAULT="quiet intel_iommu=off"',
    'GRUB_CMDLINE_LINUX="intel_iommu=off"',
    'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT intel_iommu=off iommu=off"',
    'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT kvm.ignore_msrs=0 vfio-pci.ids=10de:1b81"',
    'GRUB_CMDLINE_LINUX_DEFAULT="quiet \\\nintel_iommu=off"',
    'GRUB_CMDLINE_LINUX_DEFAULT="\\\nquiet \\\nintel_iommu=off \\\nmitigations=off \\\n"',
    'export GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT \\\n  iommu=off"',
    'GRUB_CMDLINE_LINUX_DEFAULT="a"; GRUB_CMDLINE_LINUX="intel_iommu=off"',
    "GRUB_CMDLINE_LINUX_DEFAULT='quiet iommu=off'",
    'GRUB_DISTRIBUTOR="Proxmox VE"',
    'GRUB_DISTRIBUTOR="\n"',
    '#GRUB_CMDLINE_LINUX_DEFAULT=""',
    "",
]
SYSCTL = ["vm.swappiness=10", "vm.swappiness = 10", "vm/swappiness=20", "kernel.panic=3", "# x", ""]
FILES = {
    "/etc/default/grub": GRUB,
    "/etc/default/grub.d/50.cfg": GRUB,
    "/etc/default/grub.d/zz.cfg": GRUB,
    "/etc/modprobe.d/kvm.conf": MODPROBE,
    "/etc/modprobe.d/zzz.conf": MODPROBE,
    "/etc/sysctl.d/zzz.conf": SYSCTL,
}
WISHES = {
    "kernel_cmdline": ("intel_iommu=on", "iommu=pt"),
    "vfio_ids": ("8086:9bc8",),
    "blacklist": ("i915",),
    "module_options": ("kvm.ignore_msrs=1", "kvm_intel.nested=1"),
    "sysctl": ("vm.swappiness=5",),
}
ALL = tuple((key, value) for key, values in WISHES.items() for value in values)
ACCESS = wish.Access(
    ("https://pve1:8006",), "t", wish.SecretRef(env="X"), "", "", "pve1", 22, "root", wish.SecretRef(env="Y"), ""
)


def text_of(pool: list[str]) -> st.SearchStrategy[str]:
    """Lines of the pool, repeats among them."""
    ends = st.sampled_from(["\n", "\n", "", "\n\n"])
    return st.builds(
        lambda parts, end: "\n".join(parts) + end, st.lists(st.sampled_from(pool), min_size=1, max_size=6), ends
    )


def wanting(*wants: tuple[str, str]) -> wish.NodeWish:
    items = {key: tuple(wish.Want(value, "Node/pve1") for of, value in wants if of == key) for key in WISHES}
    return wish.NodeWish("pve1", "pve1", "Node/pve1", "home", ACCESS, items, {}, ())


def turn(desk, *wants: tuple[str, str]) -> draft.Draft:
    """One plan for the host's files, carried out unless a line is in the way that cannot be taken over."""
    made = host.plan(wanting(*wants), desk.node.facts(), desk.ledger, take_over=True)
    if any(finding.id in {"foreign-contradiction", "cannot-read"} for finding in made.findings):
        return made
    for action in made.actions:
        if isinstance(action, acts.WriteFile):
            desk.node.write(action.path, action.text)
        elif isinstance(action, acts.RemoveFile):
            del desk.node.files[action.path]
    for entry in made.entries:
        desk.ledger.setdefault(entry.path, entry)
    for path in made.forgets:
        desk.ledger.pop(path, None)
    return made


def texts(desk) -> dict[str, str]:
    return {path: text for path, (text, _) in desk.node.files.items()}


@given(data=st.data())
@settings(max_examples=100)
def test_whatever_was_taken_over_comes_back_to_the_byte(desk_anew, data):
    """In several runs, for some wishes after others, and undeclared one by one in any order."""
    desk = desk_anew()
    for path in data.draw(st.lists(st.sampled_from(sorted(FILES)), min_size=1, max_size=3, unique=True)):
        desk.node.write(path, data.draw(text_of(FILES[path])))
    before = texts(desk)
    declared: tuple[tuple[str, str], ...] = ()
    for more in data.draw(st.lists(st.sampled_from(ALL), min_size=1, max_size=5, unique=True)):
        declared += (more,)
        if data.draw(st.booleans()):
            turn(desk, *declared)
    turn(desk, *declared)
    for gone in data.draw(st.permutations(declared)):
        declared = tuple(one for one in declared if one != gone)
        if data.draw(st.booleans()):
            turn(desk, *declared)
    made = turn(desk)
    assert texts(desk) == before, made.noops
    assert desk.ledger == {}


KVM = "/etc/modprobe.d/kvm.conf"
MSRS = ("module_options", "kvm.ignore_msrs=1")
IOMMU = ("kernel_cmdline", "intel_iommu=on")
CONTINUED = (
    'GRUB_DISTRIBUTOR="Proxmox VE"\nGRUB_CMDLINE_LINUX_DEFAULT="quiet \\\nintel_iommu=off"\nGRUB_CMDLINE_LINUX="a=b"\n'
)


def test_a_continued_line_is_one_place(desk):
    desk.node.write("/etc/default/grub", CONTINUED)
    turn(desk, IOMMU)
    (row,) = [entry for path, entry in desk.ledger.items() if path.startswith("foreign/")]
    assert row.before == 'GRUB_CMDLINE_LINUX_DEFAULT="quiet \\\nintel_iommu=off"\n'
    assert row.applied.endswith('GRUB_CMDLINE_LINUX_DEFAULT="quiet \\\n"\n')
    turn(desk)
    assert texts(desk)["/etc/default/grub"] == CONTINUED


@pytest.mark.parametrize(
    ("of", "to"),
    [
        ('DEFAULT="quiet \\\n"\n', 'DEFAULT="quiet splash \\\n"\n'),
        ('\\\n"\n', '\\\nmine"\n'),
        ("# transom took over: GRUB", "  # transom took over: GRUB"),
        ("# transom took over: intel_iommu=off", "# transom took over: intel_iommu=off splash"),
        ("", CONTINUED),
    ],
)
def test_a_place_that_a_person_changed_is_left_alone_as_a_whole(desk, of, to):
    desk.node.write("/etc/default/grub", CONTINUED)
    turn(desk, IOMMU)
    now = texts(desk)["/etc/default/grub"]
    edited = now.replace(of, to, 1) if of else now + now
    assert edited != now
    desk.node.write("/etc/default/grub", edited)
    made = turn(desk)
    assert texts(desk)["/etc/default/grub"] == edited
    assert "changed since" in " ".join(noop.reason for noop in made.noops)
    assert desk.ledger == {}


def test_lines_of_others_may_change_around_a_place(desk):
    desk.node.write("/etc/default/grub", CONTINUED)
    turn(desk, IOMMU)
    now = texts(desk)["/etc/default/grub"]
    desk.node.write("/etc/default/grub", "# mine\n" + now.replace("a=b", "a=c") + "GRUB_TIMEOUT=1")
    turn(desk)
    assert texts(desk)["/etc/default/grub"] == "# mine\n" + CONTINUED.replace("a=b", "a=c") + "GRUB_TIMEOUT=1"


def older(desk, path: str, cause: tuple[str, str], *rows: tuple[str, str]) -> None:
    """Ledger rows as version 0 wrote them: one for each run of lines in which the texts differ, whatever belongs together."""
    for number, (before, applied) in enumerate(rows):
        name = str(ledger_paths.Foreign(path, f"0000000{number}", (cause,)))
        desk.ledger[name] = model.Entry("pve1", name, before, applied, "Node/pve1", "")


def test_rows_of_an_older_version_come_back(desk):
    taken = f'GRUB_CMDLINE_LINUX_DEFAULT="quiet \\\n{lines.TAKEN_OVER}intel_iommu=off"\n'
    kept = CONTINUED.replace("intel_iommu=off", "")
    desk.node.write(
        "/etc/default/grub", kept.replace("GRUB_CMDLINE_LINUX_D", f"{lines.TAKEN_OVER}{taken}GRUB_CMDLINE_LINUX_D")
    )
    older(desk, "/etc/default/grub", IOMMU, ("", lines.TAKEN_OVER + taken), ('intel_iommu=off"\n', '"\n'))
    desk.node.write(
        KVM, f"{lines.TAKEN_OVER}options kvm ignore_msrs=0\n#\n{lines.TAKEN_OVER}options kvm ignore_msrs=0\n"
    )
    same = ("options kvm ignore_msrs=0\n", f"{lines.TAKEN_OVER}options kvm ignore_msrs=0\n")
    older(desk, KVM, MSRS, same, same)
    turn(desk)
    assert texts(desk)["/etc/default/grub"] == CONTINUED
    assert texts(desk)[KVM] == "options kvm ignore_msrs=0\n#\noptions kvm ignore_msrs=0\n"
    assert desk.ledger == {}


def test_more_of_the_same_line_than_were_taken_over_are_nobodys_to_tell(desk):
    mark = f"{lines.TAKEN_OVER}options kvm ignore_msrs=0\n"
    older(desk, KVM, MSRS, ("options kvm ignore_msrs=0\n", mark))
    desk.node.write(KVM, mark + "#\n" + mark)
    turn(desk)
    assert texts(desk)[KVM] == mark + "#\n" + mark


def test_a_place_that_is_taken_over_further_stays_one_and_waits_for_both(desk):
    desk.node.write(KVM, "options kvm ignore_msrs=0 halt_poll_ns=1\n")
    more = ("module_options", "kvm.halt_poll_ns=0")
    turn(desk, MSRS)
    turn(desk, MSRS, more)
    (row,) = [entry for path, entry in desk.ledger.items() if path.startswith("foreign/")]
    assert row.before == "options kvm ignore_msrs=0 halt_poll_ns=1\n"
    taken = texts(desk)[KVM]
    turn(desk, more)
    assert texts(desk)[KVM] == taken
    turn(desk)
    assert texts(desk)[KVM] == row.before


def test_an_older_row_under_a_later_one_waits_for_it(desk):
    mark, rest = f"{lines.TAKEN_OVER}options kvm ignore_msrs=0 halt_poll_ns=1\n", "options kvm halt_poll_ns=1\n"
    more = ("module_options", "kvm.halt_poll_ns=0")
    older(desk, KVM, MSRS, ("options kvm ignore_msrs=0 halt_poll_ns=1\n", mark + rest))
    name = str(ledger_paths.Foreign(KVM, "11111111", (more,)))
    desk.ledger[name] = model.Entry("pve1", name, mark + rest, mark, "Node/pve1", "")
    desk.node.write(KVM, mark)
    turn(desk, more)
    assert texts(desk)[KVM] == mark
    turn(desk)
    assert texts(desk)[KVM] == "options kvm ignore_msrs=0 halt_poll_ns=1\n"


def test_places_stand_once_and_take_neighbours_in_where_they_would_not():
    found = places.between(["x\na\nx\na\nx\n", "x\na\nx\nb\nx\n", "x\nb\nx\nb\nx\n"])
    assert [(one.line, one.before, one.applied) for one in found] == [(1, "x\na\nx\na\n", "x\nb\nx\nb\n")]
    (one,) = places.between(["a\nb\n", "a\n"])
    assert (one.line, one.before, one.applied) == (1, "a\nb\n", "a\n")
