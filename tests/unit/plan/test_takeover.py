"""Taking lines over, whatever a setting makes of them: what else the files give is not lost."""

from __future__ import annotations

import dataclasses

from transom import model
from transom.host import registry, setting
from transom.plan import takeover
from transom.plan.texts import Texts

MAIN = "/etc/default/grub"
SETTING = registry.by_key("kernel_cmdline")


def settled(setting, text):
    file = model.HostFile(MAIN, text, "")
    boot = model.Boot("b", "6.8.12-4-pve", ("quiet",), "grub", False, 0)
    texts = Texts(model.Facts("pve1", boot, {MAIN: file}, (MAIN, "/etc/default/grub.d/*.cfg")))
    return takeover.settle(setting, ("intel_iommu=on",), texts, takeover.Taken(), frozenset())


def test_a_line_that_would_take_others_along_is_left_to_a_person():
    greedy = dataclasses.replace(SETTING, release=lambda text, _line, _item: text.replace("quiet a=off ", ""))
    found = settled(greedy, 'GRUB_CMDLINE_LINUX="quiet a=off intel_iommu=off quiet"\n')
    assert isinstance(found, model.Finding)
    assert "would take quiet a=off away too" in found.summary


def test_the_same_token_twice_goes_twice():
    items = settled(SETTING, 'GRUB_CMDLINE_LINUX="intel_iommu=off quiet"\nGRUB_CMDLINE_LINUX_DEFAULT=intel_iommu=off\n')
    assert [item.value for item in items] == ["quiet"]


def test_a_line_that_hides_ours_is_told_with_what_it_does():
    hiding = setting.Item("", "/etc/default/grub.d/99-mine.cfg", 1, hides=True)
    (evidence,) = takeover.contradiction("iommu=pt", hiding, "replaces what we append").evidence
    assert (evidence.source, evidence.says) == (hiding.place, "replaces what we append")
