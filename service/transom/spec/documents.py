"""The kinds of documents: their fields and defaults. What fields mean together is checked in ``within`` and ``across``.

The reference for users is ``docs/documents.md``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic
import pydantic_core

from transom.spec import base, fields, recipe_fields
from transom.spec import hardware as parts  # "hardware" is also a field here

API_VERSION = "transom/v1"


def _exactly_one(*names: str) -> dict[str, Any]:
    """For the published schema what the validators below check."""
    return {"oneOf": [{"required": [name]} for name in names]}


class Metadata(base.Base):
    """What a document is called; ``labels`` let policies choose nodes."""

    name: fields.Name
    labels: dict[fields.LabelKey, fields.LabelValue] = pydantic.Field(default_factory=dict)


# --- Cluster ---------------------------------------------------------------------------------------------------------


class Secret(base.Base):
    """Where a secret is, never the secret itself: a file, or an environment variable of the daemon."""

    model_config = pydantic.ConfigDict(json_schema_extra=_exactly_one("file", "env"))

    file: fields.FilePath | None = None
    env: fields.EnvName | None = None

    @pydantic.model_validator(mode="before")
    @classmethod
    def _named_not_given(cls, value: Any) -> Any:
        if isinstance(value, str | int):
            raise pydantic_core.PydanticCustomError(
                "secret", 'holds a secret itself; say where it is: "file: PATH" or "env: NAME"'
            )
        return value

    @pydantic.model_validator(mode="after")
    def _one_place(self) -> Secret:
        if (self.file is None) == (self.env is None):
            raise pydantic_core.PydanticCustomError(
                "secret", 'needs exactly one of "file: PATH" and "env: NAME"', {"fields": ("file", "env")}
            )
        return self


_TRUST = ("fingerprint", "fingerprints", "ca")
_LOGINS = ("token", "ticket")


class Token(base.Base):
    """An API token of the cluster."""

    id: fields.TokenId
    secret: Secret


class Ticket(base.Base):
    """A user's login with a password, and the secret of its TOTP where it has one. Only root@pam's may set what no token may."""

    user: fields.UserId
    password: Secret
    totp: Secret | None = None


class Api(base.Base):
    """The cluster's REST API: endpoints are tried in order; its certificate is pinned or comes from a CA of the user's.

    With both a token and a ticket the ticket is used for what the token may not set, and for nothing else.
    """

    model_config = pydantic.ConfigDict(
        json_schema_extra={**_exactly_one(*_TRUST), "anyOf": [{"required": [name]} for name in _LOGINS]}
    )

    endpoints: Annotated[tuple[fields.Endpoint, ...], pydantic.Field(min_length=1)]
    token: Token | None = None
    ticket: Ticket | None = None
    fingerprint: fields.Fingerprint | None = None
    fingerprints: Annotated[tuple[fields.Fingerprint, ...], pydantic.Field(min_length=1)] | None = None
    ca: fields.FilePath | None = None

    @pydantic.model_validator(mode="after")
    def _some_login(self) -> Api:
        if self.token is None and self.ticket is None:
            raise pydantic_core.PydanticCustomError(
                "login", 'needs "token", "ticket" or both to log in with', {"fields": _LOGINS}
            )
        return self

    @pydantic.model_validator(mode="after")
    def _one_trust(self) -> Api:
        if sum(getattr(self, name) is not None for name in _TRUST) != 1:
            raise pydantic_core.PydanticCustomError(
                "trust",
                'needs exactly one of "fingerprint", "fingerprints" and "ca" to know the server\'s certificate by',
                {"fields": _TRUST},
            )
        if self.fingerprints is not None and len(self.fingerprints) != len(self.endpoints):
            raise pydantic_core.PydanticCustomError(
                "trust",
                'has {pins} "fingerprints" for {count} "endpoints": one for each, in their order',
                {"fields": ("fingerprints",), "pins": len(self.fingerprints), "count": len(self.endpoints)},
            )
        return self


class ClusterSsh(base.Base):
    """How every node of the cluster that has SSH is logged in to, unless the Node says otherwise."""

    key: Secret
    user: fields.UserName = "root"
    port: fields.Port = 22


class ClusterSpec(base.Base):
    """A Proxmox VE cluster, or a single node that is in none."""

    api: Api
    ssh: ClusterSsh | None = None

    def secrets(self) -> dict[tuple[str, ...], Secret]:
        """Where its secrets are, by their places in the document."""
        token, ticket = self.api.token, self.api.ticket
        found = {
            ("spec", "api", "token", "secret"): token.secret if token else None,
            ("spec", "api", "ticket", "password"): ticket.password if ticket else None,
            ("spec", "api", "ticket", "totp"): ticket.totp if ticket else None,
            ("spec", "ssh", "key"): self.ssh.key if self.ssh else None,
        }
        return {place: secret for place, secret in found.items() if secret is not None}


# --- Node ------------------------------------------------------------------------------------------------------------


class NodeSsh(base.Base):
    """Where the node answers, and the key that it must prove."""

    address: fields.Address
    host_key: fields.HostKey
    port: fields.Port | None = None
    user: fields.UserName | None = None


class Host(base.Base):
    """Host settings that the node has whatever its VMs need; recipes add to them."""

    kernel_cmdline: tuple[fields.KernelToken, ...] = ()
    modules: tuple[fields.Module, ...] = ()
    vfio_ids: tuple[fields.PciId, ...] = ()
    blacklist: tuple[fields.Module, ...] = ()
    module_options: tuple[fields.ModuleOption, ...] = ()
    sysctl: tuple[fields.Sysctl, ...] = ()
    simulate: Literal["quick", "full"] = "quick"
    trial: Literal["off", "auto", "bootnext", "kexec"] = "off"


class Device(base.Base):
    """A PCI device by identity; the address narrows it where twins exist."""

    id: fields.DeviceId
    address: fields.PciAddress | None = None
    mapping: fields.MappingName | None = None


class Reboot(base.Base):
    """What becomes of running guests when the node is rebooted; ``timeout`` in seconds is how long one may take to shut down."""

    guests: Literal["shutdown", "migrate"] = "shutdown"
    timeout: fields.ShutdownSeconds = 180


class NodeSpec(base.Base):
    """One host. ``pve_node`` is its name in PVE, by default the document's own. Without ``ssh`` only the API is used.
    ``confirm_within``: seconds after which a boot that nobody confirmed is taken back, by default the setting of that name."""

    cluster: fields.Name
    ssh: NodeSsh | None = None
    pve_node: fields.PveNode | None = None
    host: Host = Host()
    devices: dict[fields.Name, Device] = pydantic.Field(default_factory=dict)
    reboot: Reboot | None = None
    accept: tuple[fields.Name, ...] = ()
    confirm_within: fields.ConfirmSeconds | None = None


# --- VirtualMachine, Rom ---------------------------------------------------------------------------------------------


class VmSpec(base.Base):
    """One VM. What it is made of: the recipe, over it ``hardware``, then ``media``, and ``raw`` over all."""

    node: fields.Name
    vmid: fields.Vmid | None = None
    recipe: fields.Name | None = None
    identity: fields.VmIdentity | None = None
    device: fields.Name | None = None
    hostpci: dict[fields.HostpciKey, fields.OptionValue] = pydantic.Field(default_factory=dict)
    rom: fields.Name | None = None
    hardware: parts.Hardware = parts.Hardware()
    media: dict[parts.MediaKey, parts.Volume] = pydantic.Field(default_factory=dict)
    unlisted: dict[fields.UnlistedKey, fields.RawValue] = pydantic.Field(default_factory=dict)
    raw: dict[fields.RawKey, fields.RawValue] = pydantic.Field(default_factory=dict)


class RomInput(base.Base):
    """Where a file for the ROM comes from: beside the document (``sha256`` pins it), from a URL, or uploaded before (its hash)."""

    model_config = pydantic.ConfigDict(
        json_schema_extra={"oneOf": [{"required": [*names]} for names in (("file",), ("url", "sha256"), ("upload",))]}
    )

    file: fields.FilePath | None = None
    url: fields.Url | None = None
    upload: fields.Sha256 | None = None
    sha256: fields.Sha256 | None = None

    @pydantic.model_validator(mode="after")
    def _one_place(self) -> RomInput:
        if sum(one is not None for one in (self.file, self.url, self.upload)) != 1:
            raise pydantic_core.PydanticCustomError(
                "rom",
                'needs exactly one of "file: PATH", "url: URL" and "upload: SHA256"',
                {"fields": ("file", "url", "upload")},
            )
        return self


class RomSpec(base.Base):
    """An option ROM: a finished file and what it must hash to, or the firmware and drivers that it is built of, and for which
    devices (the options are those of ``transom rom build``). ``filename`` is for a finished one that lies on nodes already."""

    model_config = pydantic.ConfigDict(
        json_schema_extra={"oneOf": [{"required": [*names]} for names in (("file", "sha256"), ("firmware", "devices"))]}
    )

    file: fields.FilePath | None = None
    sha256: fields.Sha256 | None = None
    filename: fields.RomFilename | None = None
    firmware: Annotated[tuple[RomInput, ...], pydantic.Field(min_length=1)] = ()
    helpers: tuple[RomInput, ...] = ()
    legacy: RomInput | None = None
    devices: Annotated[tuple[fields.PciId, ...], pydantic.Field(min_length=1)] = ()
    driver: fields.Text | None = None
    compress: fields.Switch = False
    pci23: fields.Switch = False
    class_code: fields.ClassCode | None = None
    revision: fields.Hex16 | None = None
    board: fields.Prose | None = None

    @pydantic.model_validator(mode="after")
    def _finished_or_built(self) -> RomSpec:
        if (self.file is None) == (not self.firmware):
            raise pydantic_core.PydanticCustomError(
                "rom",
                'needs exactly one of "file" (a finished ROM, with its sha256) and "firmware" (what it is built of)',
                {"fields": ("file", "firmware")},
            )
        return self


# --- Policy ----------------------------------------------------------------------------------------------------------


class Selector(base.Base):
    """Which nodes: any of the names or globs, and all of the labels; what is left out matches all."""

    nodes: tuple[fields.NodeGlob, ...] = ()
    labels: dict[fields.LabelKey, fields.LabelValue] = pydantic.Field(default_factory=dict)


class Window(base.Base):
    """When something may be done: from each time of ``cron`` on, for ``duration``. ``deny`` makes it a time of rest, and wins."""

    cron: fields.Cron
    duration: fields.Duration
    timezone: fields.TimeZone
    deny: fields.Switch = False


class Limits(base.Base):
    """How far changes go that nobody was asked for: the dearest, and the share of the fleet whose drift is still believed."""

    impact: Literal["live", "guest-restart", "host-reboot"] = "live"
    fleet_drift_percent: fields.Percent = 20


class PolicySpec(base.Base):
    """What may happen to the selected nodes without being asked for."""

    selector: Selector = Selector()
    mode: Literal["observe", "propose", "enforce"] = "observe"
    windows: tuple[Window, ...] = ()
    limits: Limits = Limits()
    reboot: Reboot = Reboot()


# --- envelopes -------------------------------------------------------------------------------------------------------


class Envelope(base.Base):
    """The four fields that every document has; each kind adds its own ``kind`` and ``spec``."""

    api_version: Annotated[Literal["transom/v1"], pydantic.Field(alias="apiVersion")]
    metadata: Metadata


class Cluster(Envelope):
    """How a cluster is reached."""

    kind: Literal["Cluster"]
    spec: ClusterSpec


class Node(Envelope):
    """One host of a cluster."""

    kind: Literal["Node"]
    spec: NodeSpec


class VirtualMachine(Envelope):
    """One VM on a node."""

    kind: Literal["VirtualMachine"]
    spec: VmSpec


class Rom(Envelope):
    """One option ROM."""

    kind: Literal["Rom"]
    spec: RomSpec


class Policy(Envelope):
    """What may be done to nodes unasked."""

    kind: Literal["Policy"]
    spec: PolicySpec


class Recipe(Envelope):
    """What a generation of graphics needs."""

    kind: Literal["Recipe"]
    spec: recipe_fields.RecipeSpec


Document = Cluster | Node | VirtualMachine | Rom | Policy | Recipe
KINDS: dict[str, type[Document]] = {
    "Cluster": Cluster,
    "Node": Node,
    "VirtualMachine": VirtualMachine,
    "Rom": Rom,
    "Policy": Policy,
    "Recipe": Recipe,
}
