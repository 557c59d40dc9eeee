"""Huge pages of a size that the node's kernel has not, or of which the VM's memory is no multiple.

Whether enough of them are free, nobody knows before the start: PVE makes them then.
Source: ``hugepages_size`` in ``PVE::QemuServer::Memory``, with the words of qemu-server 9.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="hugepages-unfit",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf", "/sys/kernel/mm/hugepages"),
    who=model.Who.REFUSE,
    remedy="{way}.",
)
_NO_WAY = "Drop hugepages; with a kernel that has them the memory of each socket must be a multiple of 2 MiB"
_NAMES = ("hugepages", "memory", "sockets")


def judge(guest: view.Guest) -> rule.Verdict:
    config, supplies = guest.config, guest.host.facts.supplies
    if isinstance(config, model.Unknown):
        return rule.cannot_tell(config.unknown)
    kind = config.get("hugepages", "")
    if kind not in ("any", "2", "1024") or config.get("numa", "0") != "1":
        return rule.clear()  # another rule's, or nothing that PVE would store
    sizes = supplies if isinstance(supplies, model.Unknown) else supplies.hugepages
    if isinstance(sizes, model.Unknown):
        return rule.cannot_tell(f"sizes of huge pages: {sizes.unknown}")
    blocks = tuple(_blocks(config))
    said = next((text for block in blocks if (text := _complaint(kind, block, sizes))), "")
    if not said:
        return rule.clear()
    fitting = [one for one in ("any", "2", "1024") if not any(_complaint(one, block, sizes) for block in blocks)]
    return rule.found(
        f"VM start fails with `{said}`",
        [guest.evidence(key) for key in _NAMES],
        holds=guest.names(*_NAMES),
        way=f"Set hugepages to {' or '.join(fitting)}, or drop it" if fitting else _NO_WAY,
    )


def _blocks(config: Mapping[str, str]) -> Iterator[float]:
    """MiB that each get huge pages: the parts of a NUMA topology, else the memory divided by the sockets. Nothing with memory
    hotplug, which has blocks of its own."""
    if "memory" in config.get("hotplug", "").split(","):
        return
    parts = [config[f"numa{number}"] for number in range(8) if f"numa{number}" in config]
    texts = [_part(part, "memory") for part in parts] or [_part(config.get("memory", "512"), "current")]
    sockets = config.get("sockets", "1")
    for text in texts:
        if text.isdecimal():
            yield int(text) if parts or not sockets.isdecimal() else int(text) / max(1, int(sockets))


def _part(value: str, name: str) -> str:
    """The property, also where it is the one without a name."""
    words = dict(word.partition("=")[::2] if "=" in word else (name, word) for word in value.split(","))
    return words.get(name, "")


def _complaint(kind: str, block: float, sizes: Set[int]) -> str:
    if block <= 0 or block % 2:
        return f"memory size '{block:g}' is not a positive even integer; cannot use for hugepages"
    if not sizes & {2, 1024}:
        return "your system doesn't support hugepages"
    if kind == "any":
        lacks = 2 not in sizes and block % 1024
        return (
            f"host only supports 1024 GB hugepages, but requested size '{block:g}' is not a multiple of 1024 MB"
            if lacks
            else ""
        )
    if int(kind) not in sizes:
        return f"your system doesn't support hugepages of {kind} MB"
    return (
        f"Memory size {block:g} is not a multiple of the requested hugepages size {kind}" if block % int(kind) else ""
    )
