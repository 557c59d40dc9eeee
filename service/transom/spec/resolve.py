"""Documents → what is wanted of each node: references followed, recipes laid in, hardware in PVE's syntax. Pure."""

from __future__ import annotations

from typing import Literal

from transom import model
from transom.spec import across, bundle, documents, layers, wish


def resolve(docs: bundle.Bundle) -> tuple[wish.NodeWish, ...]:
    """One wish for each Node document, in their order. ``docs`` comes from ``loader``, which has checked that all fits together."""
    return tuple(_node(item, node, docs) for item, node in docs.of(documents.Node).values())


def roms(docs: bundle.Bundle) -> tuple[wish.RomWish, ...]:
    """Every ROM that is declared, whether a VM has it or not, in the order of the documents."""
    return tuple(_rom(item, rom) for item, rom in docs.of(documents.Rom).values())


def _node(item: bundle.Loaded, node: documents.Node, docs: bundle.Bundle) -> wish.NodeWish:
    spec = node.spec
    vms = across.vms(docs, item.name)
    roms = {name: _rom(loaded, rom) for name, (loaded, rom) in docs.of(documents.Rom).items()}
    return wish.NodeWish(
        name=item.name,
        pve_node=spec.pve_node or item.name,
        document=item.title,
        cluster=spec.cluster,
        access=_access(docs.of(documents.Cluster)[spec.cluster][1].spec, spec.ssh),
        host=layers.host(item, spec, vms),
        devices={name: _device(name, device) for name, device in spec.devices.items()},
        guests=tuple(_guest(vm, roms) for vm in vms),
        policy=_policy(item, docs),
        accept=spec.accept,
        simulate=spec.host.simulate,
        trial=spec.host.trial,
        recipes=tuple(dict.fromkeys(vm.recipe_title for vm in vms if vm.recipe)),
        confirm_within=spec.confirm_within,
    )


def _access(cluster: documents.ClusterSpec, ssh: documents.NodeSsh | None) -> wish.Access:
    shared = cluster.ssh if ssh else None  # a node that has no SSH of its own has none
    token = cluster.api.token
    return wish.Access(
        endpoints=cluster.api.endpoints,
        token_id=token.id if token else "",
        token_secret=_secret(token.secret) if token else wish.SecretRef(),
        ticket=_ticket(cluster.api.ticket) if cluster.api.ticket else None,
        fingerprint=cluster.api.fingerprint or "",
        fingerprints=cluster.api.fingerprints or (),
        ca=cluster.api.ca or "",
        ssh_host=ssh.address if ssh and shared else "",
        ssh_port=(ssh and ssh.port) or (shared.port if shared else 22),
        ssh_user=(ssh and ssh.user) or (shared.user if shared else "root"),
        ssh_key=_secret(shared.key) if shared else wish.SecretRef(),
        ssh_host_key=ssh.host_key if ssh and shared else "",
    )


def _secret(secret: documents.Secret) -> wish.SecretRef:
    return wish.SecretRef(file=secret.file or "", env=secret.env or "")


def _ticket(ticket: documents.Ticket) -> wish.TicketRef:
    return wish.TicketRef(ticket.user, _secret(ticket.password), _secret(ticket.totp) if ticket.totp else None)


def _device(name: str, device: documents.Device) -> wish.DeviceWish:
    """``8086:9bc8:1849:9bc8`` holds both identities: four digits, a colon, four digits each."""
    return wish.DeviceWish(
        name=name,
        id=device.id[:9],
        subsystem=device.id[10:],
        address=device.address or "",
        mapping=device.mapping or "",
    )


def _rom(item: bundle.Loaded, rom: documents.Rom) -> wish.RomWish:
    spec = rom.spec
    if spec.file:
        return wish.RomWish(
            name=item.name,
            file=spec.file,
            sha256=spec.sha256 or "",
            document=item.title,
            placed_as=spec.filename or "",
        )
    build = wish.RomBuild(
        inputs=(
            *((_input("legacy", spec.legacy),) if spec.legacy else ()),
            *(_input("source", one) for one in spec.firmware),
            *(_input("helper", one) for one in spec.helpers),
        ),
        devices=spec.devices,
        driver=spec.driver or "",
        compress=spec.compress,
        pci23=spec.pci23,
        class_code=int(spec.class_code or "0", 16),
        revision=int(spec.revision or "0", 16),
        board=spec.board or "",
    )
    return wish.RomWish(name=item.name, file="", sha256="", document=item.title, build=build)


def _input(role: Literal["source", "helper", "legacy"], one: documents.RomInput) -> wish.RomInput:
    return wish.RomInput(role, one.file or "", one.url or "", one.sha256 or one.upload or "")


def _guest(vm: layers.Vm, roms: dict[str, wish.RomWish]) -> wish.GuestWish:
    recipe = vm.recipe.spec if vm.recipe else None
    return wish.GuestWish(
        name=vm.item.name,
        document=vm.item.title,
        vmid=vm.spec.vmid,
        config=layers.config(vm),
        device=_device(vm.spec.device, vm.device) if vm.spec.device and vm.device else None,
        hostpci={**(recipe.guest.hostpci if recipe else {}), **vm.spec.hostpci},
        rom=roms[vm.spec.rom] if vm.spec.rom else None,
        refusals=tuple(wish.Refusal(line.why, line.qemu or "", line.devices) for line in recipe.refuse)
        if recipe
        else (),
        recipe=vm.recipe_title,
        identity=vm.spec.identity or "",
    )


def _policy(item: bundle.Loaded, docs: bundle.Bundle) -> wish.PolicyWish:
    chosen = layers.policies(item, docs.of(documents.Policy))
    own = item.document.spec.reboot if isinstance(item.document, documents.Node) else None
    if not chosen:
        return wish.PolicyWish(reboot=_reboot(own or documents.Reboot()))
    found, policy = chosen[0]
    return wish.PolicyWish(
        mode=policy.spec.mode,
        document=found.title,
        windows=tuple(map(_window, policy.spec.windows)),
        limits=wish.Limits(model.Impact(policy.spec.limits.impact), policy.spec.limits.fleet_drift_percent),
        reboot=_reboot(own or policy.spec.reboot),
    )


def _reboot(reboot: documents.Reboot) -> wish.RebootWish:
    return wish.RebootWish(reboot.guests, reboot.timeout)


def _window(window: documents.Window) -> wish.Window:
    return wish.Window(window.cron, window.duration, window.timezone, window.deny)
