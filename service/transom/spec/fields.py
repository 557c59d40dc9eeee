"""The forms that single values of documents may take: ids, addresses, keys, conditions.

They are strict, because the values end in configuration files and shells. Every text has a form, and no form admits a
control character or a line break.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime
import os.path
import re
import struct
from collections.abc import Callable
from typing import Annotated, Any

import cronsim
import pydantic
import pydantic_core
from pydantic_core import core_schema

from transom.spec import problems, pvekeys


@dataclasses.dataclass(frozen=True)
class Form:
    """What a text must look like. ``pattern`` is anchored and means the same in Python and in JSON Schema.

    ``fold`` makes the canonical spelling of a text that fits; ValueError when it does not fit after all, saying why.
    ``secret`` keeps the value out of messages: where people paste secrets by mistake.
    """

    pattern: str
    what: str
    example: str
    fold: Callable[[str], str] = str
    secret: bool = False
    limit: int = 4096

    def check(self, value: str) -> str:
        told = "the text" if self.secret else problems.shown(value)
        if len(value) > self.limit:
            raise pydantic_core.PydanticCustomError("form", "is longer than {limit} characters", {"limit": self.limit})
        if not re.fullmatch(self.pattern, value):
            reason = f"{told} is not {self.what}, such as {self.example}"
            raise pydantic_core.PydanticCustomError("form", "{reason}", {"reason": reason})
        try:
            return self.fold(value)
        except ValueError as error:  # of a type of its own: the text is no misspelling of another
            raise pydantic_core.PydanticCustomError("refused", "{reason}", {"reason": f"{told} {error}"}) from error

    def __get_pydantic_core_schema__(self, source: Any, handler: pydantic.GetCoreSchemaHandler) -> Any:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: pydantic.GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "pattern": self.pattern, "description": f"{self.what}, such as {self.example}"}


def _lower(text: str) -> str:
    return text.lower()


def _upper(text: str) -> str:
    return text.upper()


def _with_domain(address: str) -> str:
    return (address if address.count(":") == 2 else f"0000:{address}").lower()


def _host_key(text: str) -> str:
    """OpenSSH's public key blob begins with the length and the name of its type (RFC 4253, 6.6)."""
    kind, blob = text.split(" ")
    try:
        raw = base64.b64decode(blob, validate=True)
    except binascii.Error:
        raw = b""
    if raw[:4] != struct.pack(">I", len(kind)) or raw[4 : 4 + len(kind)] != kind.encode() or len(raw) < 36:
        raise ValueError("is cut off or damaged; copy it again, as with: ssh-keyscan -t ed25519 HOST")
    return text


def _one_line(value: Any) -> Any:
    return " ".join(value.split()) if isinstance(value, str) else value


def _quoted(value: Any) -> Any:
    """YAML reads ``030000`` as an octal number: what was meant cannot be told any more."""
    if isinstance(value, int):
        raise pydantic_core.PydanticCustomError("quoted", "is read as a number; put the hex digits in quotes")
    return value


def _absolute(path: str, info: pydantic.ValidationInfo) -> str:
    """Relative to the document's folder, ``~`` to the user's; both come in as context from the loader, nothing is looked up."""
    if not isinstance(info.context, dict) or "folder" not in info.context:
        return path
    home = info.context["home"]
    if path == "~" or path.startswith("~/"):
        path = home + path[1:]
    return os.path.normpath(os.path.join(info.context["folder"], path))  # noqa: PTH118 - text, no file is touched


def _known_zone(name: str, info: pydantic.ValidationInfo) -> str:
    """The machine's list of time zones comes in as context from the loader; without it every name of the right form will do."""
    zones = info.context.get("zones") if isinstance(info.context, dict) else None
    if zones is None or name in (known := zones()):
        return name
    hint = problems.did_you_mean(name, sorted(known)) or "; `timedatectl list-timezones` shows all"
    reason = f"{problems.shown(name)} is no time zone that this machine knows{hint}"
    raise pydantic_core.PydanticCustomError("zone", "{reason}", {"reason": reason})


_PVES_OWN = frozenset(
    {"digest", "lock", "meta", "vmgenid", "parent", "snaptime", "snapstate", "vmstate", "runningmachine", "runningcpu"}
)
"""Keys of a VM's file that only PVE writes (https://pve.proxmox.com/wiki/Manual:_qm.conf and GET config)."""
_PARAMETERS = frozenset(
    {
        "archive",
        "bwlimit",
        "delete",
        "force",
        "node",
        "pool",
        "revert",
        "skiplock",
        "start",
        "storage",
        "unique",
        "vmid",
    }
)
"""Parameters of PVE's create and update calls that are no keys of a configuration."""


def _settable(key: str) -> str:
    if key in _PVES_OWN or re.fullmatch(r"unused[0-9]+", key):
        raise ValueError("is written by PVE itself; take the line out")
    if key in _PARAMETERS:
        raise ValueError("is a parameter of PVE's API, not a key of a VM; take the line out")
    if key == "cipassword":
        raise ValueError("is a secret, and documents hold none; set it in PVE")
    return key


_ANY_DAY = datetime.datetime(2000, 1, 1)


def _listed(key: str) -> str:
    if _settable(key) not in pvekeys.KEYS:
        hint = problems.did_you_mean(key, sorted(pvekeys.KEYS)) or "."
        raise ValueError(f"is no key of a VM up to PVE {pvekeys.UP_TO}{hint} A newer PVE's belongs into unlisted")
    return key


def _unlisted(key: str) -> str:
    if _settable(key) in pvekeys.KEYS:
        raise ValueError("is a key that is known; give it in raw, or in a recipe's config")
    return key


def digits(value: Any) -> Any:
    """A whole number as text, for fields that also take others."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _flag(value: Any) -> Any:
    """PVE writes its switches ``1`` and ``0``."""
    return str(int(value)) if isinstance(value, bool) else value


def _cron(text: str) -> str:
    """A time that never comes is refused too: a window that denies would never deny."""
    try:
        cronsim.CronSim(text, _ANY_DAY)
    except cronsim.CronSimError as error:
        if _in_any_month(text):
            raise ValueError("names a date that never comes: none of its months has such a day") from error
        raise ValueError(f"has a {str(error).lower()}; the fields are {_CRON_FIELDS}") from error
    return text


def _in_any_month(text: str) -> bool:
    """Whether day and month of a cron are right by themselves, so that only both together never come."""
    parts = text.split()
    if len(parts) != 5:
        return False
    minute, hour, day, month, weekday = parts
    try:
        cronsim.CronSim(f"{minute} {hour} {day} 1 {weekday}", _ANY_DAY)
        cronsim.CronSim(f"{minute} {hour} 1 {month} {weekday}", _ANY_DAY)
    except cronsim.CronSimError:
        return False
    return True


def _option(text: str) -> str:
    key, _, value = text.partition("=")
    key = key.replace("-", "_")
    if key == "vfio_pci.ids":
        raise ValueError("is given by vfio_ids")
    return f"{key}={value}"


def _sysctl(text: str) -> str:
    """The form in which files of sysctl.d are compared: see ``host.settings.sysctl``."""
    key, _, value = text.partition("=")
    if "/" in key and ("." not in key or key.index("/") < key.index(".")):
        key = key.translate(str.maketrans("./", "/."))
    return f"{key}={' '.join(value.split())}"


_SWITCH = {"yes": True, "on": True, "no": False, "off": False, 0: False, 1: True}


def _switch(value: Any) -> Any:
    return _SWITCH.get(value, value) if isinstance(value, str | int) and not isinstance(value, bool) else value


_TEXT = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"
_LINES = r"^[^\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]+$"
"""Line breaks too: those of a description, which ``within`` refuses to other keys."""
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
_HEX4 = "[0-9a-fA-F]{4}"
_CRON = r"[0-9A-Za-z*/,-]+"
_CRON_FIELDS = "minute 0-59, hour 0-23, day 1-31, month 1-12 or jan-dec, weekday 0-7 or sun-sat"

Text = Annotated[str, Form(_TEXT, "one line of text without control characters", "some words", limit=16384)]
Prose = Annotated[Text, pydantic.BeforeValidator(_one_line)]
"""Words for people; line breaks become blanks, so that a reason may be written over several lines."""
Switch = Annotated[
    bool,
    pydantic.BeforeValidator(_switch),
    pydantic.Field(strict=True),
    pydantic.WithJsonSchema({"enum": [True, False, "yes", "no", "on", "off", 1, 0]}),
]
Whole = Annotated[int, pydantic.Field(strict=True)]
Port = Annotated[Whole, pydantic.Field(ge=1, le=65535)]
Percent = Annotated[Whole, pydantic.Field(ge=1, le=100)]
ShutdownSeconds = Annotated[Whole, pydantic.Field(ge=1, le=3600)]
LEAST_CONFIRM = 30
"""Seconds: below, a node that is slow to start its network would go back before anybody could have confirmed its boot."""
ConfirmSeconds = Annotated[Whole, pydantic.Field(ge=LEAST_CONFIRM, le=86400)]
Vmid = Annotated[Whole, pydantic.Field(ge=100, le=999999999)]

Name = Annotated[str, Form(f"^{_LABEL}$", "a name of lower-case letters, digits and hyphens, at most 63", "win11-igd")]
LabelKey = Annotated[str, Form(r"^[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$", "a label's key", "site")]
LabelValue = Annotated[str, Form(r"^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$", "a label's value", "home")]
NodeGlob = Annotated[str, Form(r"^[a-z0-9*?\[\]!-]+$", "a Node's name or a glob for several", "pve*")]

PveNode = Annotated[str, Form(r"^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$", "the name of a PVE node", "pve1")]
Endpoint = Annotated[
    str,
    Form(
        rf"^https://(?:{_HOST}|\[[0-9a-fA-F:]+\]):[0-9]{{1,5}}$",
        "an https URL with a port and no path",
        "https://192.0.2.11:8006",
    ),
]
TokenId = Annotated[
    str,
    Form(
        r"^[^\s:/@!=]+@[A-Za-z][A-Za-z0-9._-]+![A-Za-z][A-Za-z0-9._-]+$",
        "user@realm!name (the secret stands apart)",
        "transom@pve!transom",
        secret=True,
    ),
]
Fingerprint = Annotated[
    str,
    Form(
        r"^(?:[0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}$",
        "a SHA-256 fingerprint of 32 hex pairs with colons",
        "AB:CD:…, which openssl x509 -fingerprint -sha256 prints",
        fold=_upper,
    ),
]
FilePath = Annotated[
    str,
    Form(_TEXT, "the path of a file", "igd.rom", secret=True),
    pydantic.AfterValidator(_absolute),
]
EnvName = Annotated[
    str, Form("^[A-Za-z_][A-Za-z0-9_]*$", "the name of an environment variable", "PVE_TOKEN", secret=True)
]
Address = Annotated[str, Form(rf"^(?:{_HOST}|[0-9a-fA-F:]*:[0-9a-fA-F:]+)$", "a host name or IP address", "192.0.2.11")]
UserId = Annotated[
    str,
    Form(r"^[^\s:/@!=]+@[A-Za-z][A-Za-z0-9._-]+$", "user@realm", "root@pam", secret=True),
]
UserName = Annotated[str, Form(r"^[a-z_][a-z0-9_-]{0,31}$", "a user's name", "root")]
HostKey = Annotated[
    str,
    Form(
        r"^(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/]+={0,2}$",
        "a public host key, type and base64 with one blank",
        "ssh-ed25519 AAAAC3Nz…, which ssh-keyscan -t ed25519 HOST prints after the name",
        fold=_host_key,
    ),
]

KernelToken = Annotated[
    str,
    Form(
        r'^(?:[!#-~]|"[ !#-~]*")+$',
        "one parameter of a kernel command line, plain ASCII, no blank outside double quotes",
        "intel_iommu=on",
    ),
]
Module = Annotated[str, Form("^[A-Za-z0-9][A-Za-z0-9_-]*$", "the name of a kernel module", "vfio_pci")]
ModuleOption = Annotated[
    str,
    Form(
        r"^[A-Za-z0-9][A-Za-z0-9_-]*\.[A-Za-z0-9_]+=[!$-\[\]-~]+$",
        "module.parameter=value without blanks, quotes and backslashes",
        "kvm.ignore_msrs=1",
        fold=_option,
    ),
]
Sysctl = Annotated[
    str,
    Form(
        r"^[A-Za-z0-9_][A-Za-z0-9_./:@-]*=[!$-~](?:[ -~]*[!-~])?$",
        "key=value of sysctl",
        "vm.nr_hugepages=1024",
        fold=_sysctl,
    ),
]
PciId = Annotated[str, Form(f"^{_HEX4}:{_HEX4}$", "vendor:device in hex", "8086:9bc8", fold=_lower)]
DeviceId = Annotated[
    str,
    Form(
        f"^{_HEX4}:{_HEX4}(?::{_HEX4}:{_HEX4})?$",
        "vendor:device in hex",
        "8086:9bc8",
        fold=_lower,
    ),
]
PciIdGlob = Annotated[
    str, Form(r"^[0-9a-fA-F*?]{1,4}:[0-9a-fA-F*?]{1,4}$", "vendor:device or a glob for it", "8086:9b*", fold=_lower)
]
PciAddress = Annotated[
    str,
    Form(
        r"^(?:[0-9a-fA-F]{4}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7]$",
        "a PCI address with its function",
        "0000:00:02.0",
        fold=_with_domain,
    ),
]
Sha256 = Annotated[
    str, Form("^[0-9a-fA-F]{64}$", "a SHA-256 of 64 hex digits", "4ca987b5…, which sha256sum prints", fold=_lower)
]
Url = Annotated[
    str,
    Form(
        rf"^https?://(?:{_HOST}|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?(?:[/?][!-\[\]-~]*)?$",
        "an http or https URL without a user's name",
        "https://example.org/B460M-2.10.zip",
        secret=True,
    ),
]
Hex16 = Annotated[
    str,
    pydantic.BeforeValidator(_quoted),
    Form("^[0-9a-fA-F]{1,4}$", "a number of up to four hex digits, in quotes", '"0001"', fold=_lower),
]
ClassCode = Annotated[
    str,
    pydantic.BeforeValidator(_quoted),
    Form("^[0-9a-fA-F]{1,6}$", "a PCI class code of up to six hex digits, in quotes", '"030000"', fold=_lower),
]
Versions = Annotated[
    str,
    Form(
        r"^(?:<=|>=|<|>)[0-9]+(?:\.[0-9]+)*(?:,(?:<=|>=|<|>)[0-9]+(?:\.[0-9]+)*)*$",
        "a condition on a version",
        ">=9.2,<10.0",
    ),
]

_KEY = "^[a-z][a-z0-9_-]{0,63}$"
RawKey = Annotated[str, Form(_KEY, "a key of a PVE configuration", "hookscript", fold=_listed)]
UnlistedKey = Annotated[str, Form(_KEY, "a key of a newer PVE's configuration", "some-new-key", fold=_unlisted)]
RawValue = Annotated[
    str,
    pydantic.BeforeValidator(_flag),
    Form(_LINES, "a value in PVE's own syntax, not empty, on one line", "virtio,bridge=vmbr0", limit=16384),
    pydantic.WithJsonSchema(
        {"type": ["string", "number", "boolean"], "pattern": _LINES, "description": "PVE's own syntax"}
    ),
]
_UUID = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
VmIdentity = Annotated[
    str,
    Form(
        f"^(?:(?:smbios|vmgenid):{_UUID}|none)$",
        "what tells a VM from another with its VMID",
        "smbios:1e5a7c1e-0b7d-4b3e-9a4f-2f6f0c1d2e3f, which transom adopt writes",
        fold=_lower,
    ),
]
ROM_FILENAME = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,199}$"
RomFilename = Annotated[
    str,
    Form(ROM_FILENAME, "the name of a file, without a folder", "vbios_uhd630.bin"),
]
MappingName = Annotated[str, Form(r"^[A-Za-z][A-Za-z0-9_-]{1,127}$", "the name of a resource mapping", "igpu")]
HostpciKey = Annotated[
    str,
    Form(
        "^(?:legacy-igd|pcie|rombar|x-vga|device-id|vendor-id|sub-device-id|sub-vendor-id|driver)$",
        "an option of hostpci (address and romfile come from device and rom)",
        "legacy-igd",
    ),
]
OptionValue = Annotated[
    str,
    pydantic.BeforeValidator(_flag),
    Form("^[A-Za-z0-9_.-]+$", "a plain value", "1"),
    pydantic.WithJsonSchema({"type": ["string", "integer", "boolean"], "pattern": "^[A-Za-z0-9_.-]+$"}),
]

Cron = Annotated[
    str,
    Form(
        rf"^{_CRON}(?: {_CRON}){{4}}$",
        "five fields of cron (minute hour day month weekday)",
        "0 3 * * sun",
        fold=_cron,
        limit=256,
    ),
]
Duration = Annotated[str, Form("^[1-9][0-9]{0,4}[mhd]$", "a duration in minutes, hours or days", "2h")]
TimeZone = Annotated[
    str,
    Form(r"^(?:UTC|[A-Z][A-Za-z_]+(?:/[A-Z0-9][A-Za-z0-9_+-]*)+)$", "a time zone's name", "Europe/Berlin"),
    pydantic.AfterValidator(_known_zone),
]
