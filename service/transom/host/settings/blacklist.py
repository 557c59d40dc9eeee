"""Drivers that must not load by themselves: ``blacklist`` lines of modprobe.d."""

from __future__ import annotations

from transom import model
from transom.host import cmdline_lists, conditions, line_items, lines, modprobe, module_names, setting

_FORM = line_items.modprobe_form(lambda one: one.names("blacklist"), lambda item: f"blacklist {item}")
_KEYS = frozenset({"module_blacklist", "modprobe.blacklist"})


def read(facts: model.Facts) -> tuple[setting.Item, ...] | model.Unknown:
    """Every blacklisted module: modprobe.d as kmod reads it, then the lists on the command line."""
    found = modprobe.ordered(facts)
    if isinstance(found, model.Unknown):
        return found
    listings = cmdline_lists.read(facts, _KEYS)
    if isinstance(listings, model.Unknown):
        return listings
    return tuple(item for file in found for item in line_items.items(_FORM, str(file.text), file.path)) + tuple(
        setting.Item(module_names.normal(part), one.path, one.line) for one in listings for part in one.parts if part
    )


def clashes(_wants: tuple[str, ...], _items: tuple[setting.Item, ...]) -> tuple[setting.Clash, ...]:
    """None: no line takes a module off the blacklist."""
    return ()


def edit(text: str, owned: frozenset[str], wanted: tuple[str, ...]) -> str:
    """One line a module."""
    return line_items.edit(_FORM, text, owned, wanted)


def effective(item: str, facts: model.Facts) -> bool | model.Unknown:
    """Whether no PCI device is bound to the driver: a module that is loaded but holds no device harms nothing."""
    if isinstance(facts.pci, model.Unknown):
        return facts.pci
    names = {item, module_names.driver(item)}
    if unread := next((device.driver for device in facts.pci if isinstance(device.driver, model.Unknown)), None):
        return unread
    # i2c_i801 is the module of the driver i801_smbus: sysfs tells, where it was read.
    return not any({module_names.normal(device.driver_name), device.driver_module} & names for device in facts.pci)


def release(text: str, line: int, item: str) -> str:
    """The line as a comment; on GRUB's command line the name taken out of the list."""
    now = lines.behind_taken_over(text, line)
    if any(place.first <= now <= place.last for place in _FORM.places(text)):
        return line_items.release(_FORM, text, line, item)
    return cmdline_lists.release(text, line, item, _KEYS, module_names.normal)


SETTING = setting.HostSetting(
    key="blacklist",
    path=modprobe.OWN,
    after=(model.Step.INITRAMFS,),
    impact=model.Impact.HOST_REBOOT,
    select=conditions.selector("blacklist", module_names.normal),
    read=read,
    clashes=clashes,
    edit=edit,
    effective=effective,
    release=release,
)
