"""The value of a ``hostpciN`` from its parts, for the plan: a short way to ``fields.hostpci``."""

from __future__ import annotations

from collections.abc import Mapping

from transom.guest.fields import hostpci


def render_hostpci(address: str, options: Mapping[str, str], romfile: str | None = None) -> str:
    """``0000:00:02.0,legacy-igd=1,romfile=igd-….rom``; ``romfile`` replaces one among the options.

    ValueError when ``address`` is not a PCI address.
    """
    return hostpci.render(address, options, romfile or "")
