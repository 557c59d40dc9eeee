"""The value of a ``hostpciN`` from its parts, for the plan: a short way to ``fields.hostpci``."""

from __future__ import annotations

from collections.abc import Mapping

from transom.guest.fields import hostpci


def render_mapped(mapping: str, options: Mapping[str, str], romfile: str | None = None) -> str:
    """``mapping=igpu,legacy-igd=1,romfile=igd-….rom``; ``romfile`` replaces one among the options."""
    kept = {key: value for key, value in options.items() if key != "romfile" or not romfile}
    return ",".join(f"{key}={value}" for key, value in {"mapping": mapping, **kept, **_rom(romfile)}.items())


def _rom(romfile: str | None) -> dict[str, str]:
    return {"romfile": romfile} if romfile else {}


def render_hostpci(address: str, options: Mapping[str, str], romfile: str | None = None) -> str:
    """``0000:00:02.0,legacy-igd=1,romfile=igd-….rom``; ``romfile`` replaces one among the options.

    ValueError when ``address`` is not a PCI address.
    """
    return hostpci.render(address, options, romfile or "")
