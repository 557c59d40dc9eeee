"""vfio-pci before a display driver: ``softdep i915 pre: vfio-pci``. Items are the drivers; derived, never written in a document."""

from __future__ import annotations

from transom import errors, model
from transom.host import conditions, line_items, lines, modprobe, module_names, setting

_FORM = line_items.modprobe_form(lambda one: _after_vfio(one), lambda item: f"softdep {item} pre: vfio-pci")


def _after_vfio(one: modprobe.Directive) -> str:
    return one.names("softdep") if "vfio_pci" in _before(one) else ""


def _before(one: modprobe.Directive) -> list[str]:
    """The modules that the line loads first."""
    found: list[str] = []
    kind = ""
    for index in range(2, len(one.words)):
        word = one.word(index)
        if word in {"pre:", "post:"}:
            kind = word
        elif kind == "pre:":
            found.append(module_names.normal(word))
    return found


def read(facts: model.Facts) -> tuple[setting.Item, ...] | model.Unknown:
    """Every driver that waits for vfio-pci, and as hiding lines other softdeps: kmod goes by the first line for a module."""
    found = modprobe.all_directives(facts)
    if isinstance(found, model.Unknown):
        return found
    items: dict[str, setting.Item] = {}
    for one in found:
        driver = one.names("softdep")
        if driver and driver not in items:
            waits = bool(_after_vfio(one))
            items[driver] = setting.Item(driver if waits else _without(driver), one.path, one.first, hides=not waits)
    return tuple(items.values())


def clashes(wants: tuple[str, ...], items: tuple[setting.Item, ...]) -> tuple[setting.Clash, ...]:
    """An earlier softdep for the driver without vfio-pci: kmod then never looks at ours."""
    return tuple(
        setting.Clash(want, item, f"the first softdep for {want} counts, and this one does not load vfio-pci before it")
        for want in wants
        for item in items
        if item.hides and item.value == _without(want) and item.path != modprobe.OWN
    )


def edit(text: str, owned: frozenset[str], wanted: tuple[str, ...]) -> str:
    """One line a driver."""
    return line_items.edit(_FORM, text, owned, wanted)


def effective(_item: str, _facts: model.Facts) -> bool | model.Unknown:
    """Always: it is about the order of loading, which leaves no trace; what it is for shows in the bound driver."""
    return True


def release(text: str, line: int, item: str) -> str:
    """The line as a comment; one that hides ours is kept with vfio-pci put first."""
    now = lines.behind_taken_over(text, line)
    for one in modprobe.directives(text, ""):
        if one.first <= now <= one.last and item == _without(one.names("softdep")):
            return _with_vfio(text, one, again=now != line)
    return line_items.release(_FORM, text, line, item)


def _without(driver: str) -> str:
    return f"{driver} without vfio-pci"


def _with_vfio(text: str, one: modprobe.Directive, *, again: bool) -> str:
    if _after_vfio(one):
        raise errors.Void(f"line {one.first} now loads vfio-pci first")
    at = one.words[1][-1].end
    kept = lines.between(text, text[:at] + " pre: vfio-pci" + text[at:], one.first, one.last)
    return line_items.replaced(text, one.first, one.last, kept, again=again)


SETTING = setting.HostSetting(
    key="softdep",
    path=modprobe.OWN,
    after=(model.Step.INITRAMFS,),
    impact=model.Impact.HOST_REBOOT,
    select=conditions.selector("softdep", module_names.normal),
    read=read,
    clashes=clashes,
    edit=edit,
    effective=effective,
    release=release,
)
