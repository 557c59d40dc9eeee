"""Which drivers a blacklist keeps from loading, by whose words.

modprobe.d's ``blacklist`` and ``modprobe.blacklist=`` only keep a module from being found by what hardware is there; the kernel's
``module_blacklist=`` refuses it to whoever asks (kernel/module/main.c, ``blacklisted``), so that all that need it fail with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from transom import model
from transom.diagnose import view
from transom.host import closure, derive, kernel_args, module_names

KEYS = frozenset({"module_blacklist", "modprobe.blacklist", "rd.driver.blacklist"})
_REFUSES = "module_blacklist"
_NETWORK = frozenset({"8021q", "bonding", "bridge", "openvswitch", "team", "vxlan", "wireguard"})
"""Kinds of interfaces; having some does not count as use of the module."""
_DESKTOP = ("drm", "nvidia", "snd", "soundcore", "ttm", "video")
"""Beginnings of the names of what display and sound drivers need."""

Words = Mapping[str, str]
"""Module (underscores) → what wants it kept away: ``blacklist``, or a token of the kernel command line."""


def wanted(host: view.Host) -> dict[str, str]:
    """Drivers (underscores) that documents keep away → what wants it, what needs a refused module included."""
    named = {module_names.normal(name): "blacklist" for name in host.wanted("blacklist")}
    return drivers(named | of_tokens(host.wanted("kernel_cmdline")), host.facts)


def of_tokens(tokens: Iterable[str]) -> dict[str, str]:
    """The modules that tokens of the kernel command line name. Of two tokens the one that refuses says why."""
    return {
        module_names.normal(part): token
        for token in sorted(tokens, key=refuses)
        if kernel_args.key(token) in KEYS
        for part in (kernel_args.value(token) or "").split(",")
        if part
    }


def drivers(named: Words, facts: model.Facts) -> dict[str, str]:
    """By the names that PCI drivers go by; what needs a refused module is known of those that are loaded."""
    failing = {user: why for name, why in named.items() if refuses(why) for user in _needing(name, facts)}
    pci = () if isinstance(facts.pci, model.Unknown) else facts.pci
    called = {dev.driver_module: module_names.normal(dev.driver_name) for dev in pci if dev.driver_module}
    return {called.get(name, module_names.driver(name)): why for name, why in {**failing, **named}.items()}


def refuses(why: str) -> bool:
    return kernel_args.key(why) == _REFUSES


def unread(host: view.Host) -> bool:
    """Whether a module is to be refused of which it is not known what needs it. That of display and sound is known."""
    names = (name for name, why in of_tokens(host.wanted("kernel_cmdline")).items() if refuses(why))
    return isinstance(host.facts.loaded, model.Unknown) and not all(map(_desktop, names))


def in_use(host: view.Host) -> dict[str, str]:
    """Loaded modules that are to be refused and that something other than a module uses now (a file system that is mounted, a
    volume that is open), or that interfaces are made of → the token. Those of display and sound are left to their devices."""
    loaded = host.facts.loaded
    if isinstance(loaded, model.Unknown):
        return {}
    named = of_tokens(host.wanted("kernel_cmdline"))
    refused = {user: why for name, why in named.items() if refuses(why) for user in _needing(name, host.facts)}
    return {name: why for name, why in refused.items() if not _desktop(name) and _used(name, loaded)}


def _used(name: str, loaded: Mapping[str, model.LoadedModule]) -> bool:
    return name in loaded and (name in _NETWORK or loaded[name].uses > len(loaded[name].users))


def _desktop(name: str) -> bool:
    return name in derive.DISPLAY_DRIVERS | derive.SOUND_DRIVERS or name.startswith(_DESKTOP)


def _needing(name: str, facts: model.Facts) -> tuple[str, ...]:
    """The module and all loaded ones that need it."""
    loaded = {} if isinstance(facts.loaded, model.Unknown) else facts.loaded
    return closure.closure(name, lambda one: loaded[one].users if one in loaded else ())
