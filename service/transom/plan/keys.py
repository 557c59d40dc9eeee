"""Who writes which key of a VM: what a token may, what is root's alone, and what only has to be reverted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from transom import model
from transom.guest import conf, derived, known, registry
from transom.guest.field import Route
from transom.host import versions
from transom.plan import guest_actions
from transom.spec import pvekeys, wish

Change = TypeVar("Change", str, str | None)


def split(changes: Mapping[str, Change], present: Mapping[str, str]) -> tuple[dict[str, Change], dict[str, Change]]:
    """What an API token may write or delete, and what only root may, in order of the keys."""
    api: dict[str, Change] = {}
    root: dict[str, Change] = {}
    for key, value in sorted(changes.items()):
        values = [one for one in (value, present.get(key)) if one is not None]
        (api if registry.route(key, *values) is Route.API else root)[key] = value
    return api, root


def needs_root(
    node: wish.NodeWish, action: guest_actions.CreateGuest | guest_actions.ChangeGuest
) -> model.Finding | None:
    """Why ``action`` cannot be carried out as a whole, told before anything of it is; None when it can."""
    keys = sorted({*action.root, *(action.root_delete if isinstance(action, guest_actions.ChangeGuest) else ())})
    if not keys or node.access.has_root:
        return None
    vm = f"VM {action.vmid}" if action.vmid is not None else f"VM ({action.name})"
    return model.Finding(
        id="needs-root",
        subject=vm,
        summary=f"{vm}: {', '.join(keys)} can be set by root@pam alone, and neither SSH nor a ticket of root's is given; "
        "an API token may not, whatever its rights",
        remedy="Add ssh to the Cluster and the Node, or api.ticket with user root@pam to the Cluster; or have root set them "
        f"by hand: {'; '.join(action.shell())}",
        who=model.Who.REFUSE,
        evidence=tuple(model.Evidence("only root can set", key) for key in keys),
        holds=True,
    )


def change(
    vmid: int, digest: str, changes: Mapping[str, str | None], observed: conf.GuestConf
) -> guest_actions.ChangeGuest:
    """The action that makes ``changes`` (None: delete) to a VM with this digest.

    A key that has the wanted value, with only a pending change against it, is reverted: a token may do so even for keys that it may
    not set, and nothing of the key is sent. Where PVE would put a CD drive into the boot order, ``boot`` is sent last.
    """
    current, persisted = observed.current(), observed.persisted()
    revert = {
        key: current.get(key)
        for key, value in changes.items()
        if current.get(key) != persisted.get(key) and _same(key, value, current.get(key))
    }
    follows, then = derived.follows(changes, persisted), {}
    if derived.appends(changes, current):
        then["boot"] = changes["boot"] if "boot" in changes else follows.pop("boot", persisted["boot"])
        revert.pop("boot", None)
    sent = {key: value for key, value in changes.items() if key not in revert and key not in then}
    api, root = split(sent, persisted)
    return guest_actions.ChangeGuest(
        vmid,
        digest,
        {key: value for key, value in api.items() if value is not None},
        {key: value for key, value in root.items() if value is not None},
        tuple(key for key, value in api.items() if value is None),
        tuple(key for key, value in root.items() if value is None),
        {key: persisted.get(key) for key in (*changes, *follows, *then)},
        revert,
        follows,
        then,
    )


def _same(key: str, wanted: str | None, there: str | None) -> bool:
    if wanted is None or there is None:
        return wanted is there
    return registry.field_for(key).same(wanted, there)


def lost(vmid: int, observed: conf.GuestConf, facts: model.Facts) -> model.Finding | None:
    """PVE drops, at its next write, the lines that it cannot parse: nothing is written to a VM that has such."""
    file = f"/etc/pve/qemu-server/{vmid}.conf"
    evidence = [model.Evidence(f"{file}:{line.number}", line.text) for line in observed.unparsed]
    if is_listed(facts):
        evidence += [model.Evidence(file, f"{line} ({why})") for line, why in known.dropped(observed)]
    if not evidence:
        return None
    return model.Finding(
        id="vm-lines-lost",
        subject=f"VM {vmid}",
        summary=f"PVE cannot parse {len(evidence)} lines of VM {vmid}, and drops them when anything of it is written",
        remedy="Put right or remove them with an editor; a note belongs into the description.",
        who=model.Who.REFUSE,
        evidence=tuple(evidence),
        holds=True,
    )


def is_listed(facts: model.Facts) -> bool:
    """Whether the node's qemu-server is one whose keys and properties are all known here; a newer one may know more."""
    version = "" if isinstance(facts.packages, model.Unknown) else facts.packages.get("qemu-server", "")
    return not version or versions.matches(version, f"<{pvekeys.KNOWN_BEFORE}")


def unseen(vmid: int) -> model.Finding:
    """Where there is no SSH the file itself is not read."""
    return model.Finding(
        id="vm-lines-unseen",
        subject=f"VM {vmid}",
        summary=f"VM {vmid} is taken over without its file being read: lines in it that PVE cannot parse would be dropped",
        remedy=f"If somebody edits the file by hand, look first: `qm config {vmid}` warns about each such line.",
        who=model.Who.REPORT,
        evidence=(model.Evidence("Node document", "no ssh"),),
    )


def unfit(vmid: int | None, wants: Mapping[str, wish.Want], there: Mapping[str, str]) -> model.Finding | None:
    """Wanted values that PVE is certain to refuse; those that stand there already are nobody's business."""
    evidence = []
    for key, want in sorted(wants.items()):
        try:
            if there.get(key) != want.value:
                registry.field_for(key).parse(want.value)
        except ValueError as error:
            evidence.append(model.Evidence(want.document, f"{key}: {want.value[:80]} ({error})"))
    if not evidence:
        return None
    whose = f"VM {vmid}" if vmid is not None else "a VM to be made"
    return model.Finding(
        id="vm-value-unfit",
        subject=f"VM {vmid}" if vmid is not None else evidence[0].source,
        summary=f"PVE would refuse for {whose}: {'; '.join(one.says for one in evidence)}",
        remedy="Put the value right in the document; `man qm.conf` on the node has the forms.",
        who=model.Who.REFUSE,
        evidence=tuple(evidence),
        holds=True,
    )
