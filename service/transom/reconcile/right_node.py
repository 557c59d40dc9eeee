"""Whether the shell is on the node that is meant: asked first thing when a run starts, and again after a reboot."""

from __future__ import annotations

from transom import errors, model
from transom.host import probe
from transom.host.probes import identity
from transom.reconcile import world as w


def ask(host: w.Host) -> str | model.Unknown:
    """The PVE node that answers; Unknown while pmxcfs does not show it."""
    done = host.script(identity.PROBE.command, read_only=True)
    return probe.result(identity.PROBE, done.stdout, done.exit)


def check(world: w.World) -> None:
    """Rejected when another node answers, or when it cannot be told which: nothing may be written then. The API needs no such
    question: each of its calls names the node."""
    if not world.shell:
        return
    found = ask(world.host)
    if isinstance(found, model.Unknown):
        raise errors.Rejected(
            f"whether SSH leads to node {world.node} cannot be told: {found.unknown}",
            hint="is pve-cluster running there? systemctl status pve-cluster",
        )
    refuse(found, world)


def refuse(found: str, world: w.World) -> None:
    """Rejected when ``found`` is not the node."""
    if found != world.node:
        raise errors.Rejected(
            f"SSH leads to node {found}, not to {world.node}: nothing was changed",
            hint="put the address and host key of the right node into its Node document",
        )
