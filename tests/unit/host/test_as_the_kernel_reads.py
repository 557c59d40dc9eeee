r"""What a kernel, or the module, makes of what it was given: values shown otherwise, ``--``, blanks that are none, no loader."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transom import model
from transom.host import cmdline_file, grub, kernel_args, loader, setting
from transom.host.settings import kernel_cmdline, module_options


@pytest.mark.parametrize(
    ("wanted", "shown", "effective"),
    [
        ("1", "1,-1,-1,-1", True),
        ("1", "Y,Y,Y,Y", True),
        ("0x200000000", "8589934592", True),
        ("0x3", "3", True),
        ("010", "8", True),
        ("on", "Y", True),
        ("1", "Y", True),
        ("-1", "4294967295", True),
        ("a780", "a780", True),
        ("2", "1", False),
        ("0", "Y", False),
        ("1,1", "1", False),
        ("7d55", "a780", None),
        ("never", "not required", None),
        ("performance", "default [performance] powersave", None),
        ("a,2", "b,1", None),
        ("force", "Y", None),
        ("8G", "8589934592", None),
    ],
)
def test_a_parameter_as_its_module_shows_it(make_facts, wanted, shown, effective):
    found = module_options.effective(f"m.p={wanted}", make_facts(module_options={"m.p": shown}))
    assert (None if isinstance(found, model.Unknown) else found) is effective


def test_behind_two_dashes_nothing_is_for_the_kernel(make_facts):
    facts = make_facts(cmdline=("quiet", "--", "iommu=pt"))
    assert kernel_cmdline.effective("quiet", facts) is True
    assert kernel_cmdline.effective("iommu=pt", facts) is False


def test_a_line_with_two_dashes_is_not_appended_to(make_facts):
    facts = make_facts({grub.MAIN: 'GRUB_CMDLINE_LINUX_DEFAULT="quiet -- single"\n'})
    items = kernel_cmdline.read(facts)
    assert not isinstance(items, model.Unknown)
    assert kernel_cmdline.clashes(("quiet",), items) == ()
    (clash,) = kernel_cmdline.clashes(("iommu=pt",), items)
    assert (clash.item.value, clash.reason) == ("--", "sends all that follows to init, not to the kernel")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("root=a -- x", "goes to init"),
        ("root=a\u00a0quiet", "not ASCII"),
        ("root=a\u0085quiet", "not ASCII"),
    ],
)
def test_a_line_that_the_kernel_would_read_otherwise_is_not_judged(make_facts, line, why):
    found = cmdline_file.items(make_facts({cmdline_file.PATH: line + "\n"}))
    assert isinstance(found, model.Unknown)
    assert why in found.unknown


def test_only_ascii_blanks_divide():
    assert kernel_args.split("a\tb c\u00a0d") == ("a", "b", "c\u00a0d")


STUB = r"Boot0003* Debian HD(1,GPT,5ca1ab1e)/File(\EFI\debian\vmlinuz)initrd=\EFI\debian\initrd.img"


def test_a_kernel_that_the_firmware_started_has_no_boot_loader():
    tokens = (r"initrd=\EFI\debian\initrd.img", "quiet")
    found = loader.signs(tokens, info="", started=STUB, bios=False)
    assert loader.booted(found) == loader.STUB
    by_loader = r"Boot0000* Linux Boot Manager HD(1,GPT,x)/File(\EFI\systemd\systemd-bootx64.efi)"
    assert loader.booted(loader.signs(tokens, info="", started=by_loader, bios=False)) == loader.SYSTEMD_BOOT


@pytest.mark.parametrize(
    ("given", "wanted", "effective"),
    [
        ("intel_iommu=on,sm_on", "intel_iommu=on", True),
        ("intel_iommu=on intel_iommu=sm_on", "intel_iommu=sm_on,on", True),
        ("iommu=pt iommu=1", "iommu=pt", True),
        ("intel_iommu=off intel_iommu=on", "intel_iommu=on", True),
        ("intel_iommu=on intel_iommu=igfx_off,off", "intel_iommu=on", False),
        ("iommu=pt,nopt", "iommu=pt", False),
        ("iommu=off iommu=pt", "iommu=pt", False),
        ("amd_iommu=off amd_iommu=on", "amd_iommu=on", False),
        ("acpi=noirq acpi=strict", "acpi=noirq", True),
        ("acpi=strict,noirq", "acpi=strict", False),
        ("pcie_acs_override=multifunction pcie_acs_override=downstream", "pcie_acs_override=downstream,multifunction", True),
        ("iommu=pt -- iommu=nopt", "iommu=pt", True),
        ("intel_iommu=", "intel_iommu=on", False),
    ],
)  # fmt: skip
def test_switches_of_one_key_add_up(make_facts, given, wanted, effective):
    assert kernel_cmdline.effective(wanted, make_facts(cmdline=tuple(given.split()))) is effective


WORDS = st.sampled_from(["on", "off", "sm_on", "sm_off", "igfx_off", "strict"])


@given(st.lists(st.lists(WORDS, min_size=1, max_size=3), max_size=4), st.lists(WORDS, min_size=1, max_size=2))
def test_a_switch_is_given_contradicted_or_free_to_add(tokens, wanted):
    """As ``intel_iommu_setup`` goes through them: one variable a pair of words, the last one counts."""
    want, foreign = f"intel_iommu={','.join(wanted)}", [f"intel_iommu={','.join(words)}" for words in tokens]
    state = {word.removesuffix("on").removesuffix("off"): word for words in tokens for word in words}
    off = state.get("") == "off"
    given = all(
        (word == "off" if off else state.get(word.removesuffix("on").removesuffix("off")) == word) for word in wanted
    )
    against = any(
        (word != "off" and off) or state.get(word.removesuffix("on").removesuffix("off"), word) != word
        for word in wanted
    )
    found = kernel_cmdline.rivalries((want,), tuple(setting.Item(token, grub.MAIN, 1) for token in foreign))
    assert bool(found) == (against and not given)
