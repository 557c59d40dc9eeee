"""Who may change a node: a file on it names the fleet, the installation and how far its store had come.

A foreign fleet's lease is never touched. One of the same fleet that this store has not written means that the store was restored
from a backup, or that a copy of it is at work elsewhere: then a person has to say who goes on.
"""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Mapping

import pydantic

from transom import errors, model
from transom.reconcile import effect as eff
from transom.reconcile import world as w
from transom.ssh import files as remote

PATH = f"{eff.KEEP}/lease.json"


@dataclasses.dataclass(frozen=True)
class Lease:
    """``life`` is new with every start of a daemon or command; ``generation`` of the store rises with every run."""

    fleet: str
    instance: str
    """The installation: machine and state folder."""
    life: str
    generation: int
    at: float
    """Seconds since the epoch, by the holder's clock."""


class Standing(enum.Enum):
    """What a lease on a node means for us."""

    FREE = "free"
    OURS = "ours"
    FOREIGN = "foreign"
    OTHER = "other"
    """Of our fleet, but not by what our store knows."""


@dataclasses.dataclass(frozen=True)
class Known:
    """What our store knows. ``mine.at`` is now; ``lasts`` in seconds; ``over`` are lives that a person has said to be over."""

    mine: Lease
    lives: Mapping[str, int]
    """Life → the highest generation of a lease that it may have written."""
    lasts: float
    over: frozenset[str] = frozenset()

    def wrote(self, found: Lease) -> bool:
        """A number that any start raises would hide a restored store from the second start on; who wrote what cannot be made up."""
        return found.generation <= max(self.lives.get(found.life, -1), self.lives.get("", -1))


@dataclasses.dataclass(frozen=True)
class Found:
    """A lease as it was judged. ``sha256`` is of the file; None when there is none."""

    standing: Standing
    reason: str = ""
    lease: Lease | None = None
    sha256: str | None = None

    @property
    def mine(self) -> bool:
        """Whether the node may be changed by us."""
        return self.standing in (Standing.FREE, Standing.OURS)


def judge(found: Lease | None, known: Known) -> tuple[Standing, str]:
    """How ``found`` stands to us, and why when it is not ours."""
    mine = known.mine
    if found is None:
        return Standing.FREE, ""
    if found.fleet != mine.fleet:
        return Standing.FOREIGN, f"fleet {found.fleet} keeps this node"
    if found.life == mine.life:
        return Standing.OURS, ""
    if not known.wrote(found):
        return Standing.OTHER, (
            f"the node was changed by life {found.life} (generation {found.generation}) of this fleet, of which this store knows "
            "nothing: it was restored from a backup, or a copy of it is at work elsewhere"
        )
    age = mine.at - found.at
    if found.instance != mine.instance and age < known.lasts and found.life not in known.over:
        return Standing.OTHER, f"another installation of this fleet ({found.instance}) was at work {age:.0f} s ago"
    return Standing.OURS, ""


def read(host: w.Host, known: Known) -> Found:
    """The lease on the node. One that cannot be understood is somebody else's. A node without SSH has no place for one."""
    if not w.has_shell(host):
        return Found(Standing.FREE)
    data = remote.read(host, PATH)
    if data is None:
        return Found(Standing.FREE)
    digest = remote.sha256(data)
    try:
        lease = model.from_json(Lease, json.loads(data))
    except (ValueError, pydantic.ValidationError) as error:
        return Found(Standing.FOREIGN, f"{PATH} is not understood: {str(error).splitlines()[0]}", None, digest)
    standing, reason = judge(lease, known)
    return Found(standing, reason, lease, digest)


def write(host: w.Host, lease: Lease, found: Found) -> Found:
    """Take or renew it: what stands on the node then. Void when it is no longer what was found."""
    if not w.has_shell(host):
        return found
    data = json.dumps(model.to_json(lease), sort_keys=True).encode() + b"\n"
    remote.write(host, PATH, data, mode=0o600, expect=found.sha256, backup=None)
    return Found(Standing.OURS, "", lease, remote.sha256(data))


def give_up(host: w.Host, found: Found) -> None:
    """Nobody's node any more. Rejected when the lease is not ours to give."""
    if not found.mine:
        raise errors.Rejected(f"the lease is not ours: {found.reason}")
    if not w.has_shell(host):
        return
    remote.remove(host, PATH, expect=found.sha256, backup=None)


def finding(found: Found) -> model.Finding:
    """What stands about a node that is not ours to change."""
    foreign = found.standing is Standing.FOREIGN
    return model.Finding(
        id="lease-foreign" if foreign else "lease-other",
        subject=PATH,
        summary=f"another daemon holds this node: {found.reason}",
        remedy=f"Release the node there; when that daemon is gone for good, remove {PATH} on the node."
        if foreign
        else "Stop the other one. When only this one is left, `transom resume` goes on.",
        who=model.Who.REFUSE,
        evidence=(model.Evidence(PATH, json.dumps(model.to_json(found.lease)) if found.lease else "not understood"),),
        holds=True,
    )


def not_renewed(reason: str) -> model.Finding:
    """What stands about a node whose lease we hold and cannot keep fresh: what could not write that file can change nothing."""
    return model.Finding(
        id="lease-not-renewed",
        subject=PATH,
        summary=f"our lease on this node cannot be renewed: {reason}",
        remedy="Look what keeps files from being written there: a full or read-only disk.",
        who=model.Who.REPORT,
        evidence=(model.Evidence(PATH, reason),),
        holds=True,
    )
