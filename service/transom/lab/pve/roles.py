"""PVE's privileges and built-in roles. A role's name tells its area and rank; Administrator has everything."""

from __future__ import annotations

from typing import Final

GROUPS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "VM": {
        "admin": (
            "VM.Config.Disk", "VM.Config.CPU", "VM.Config.Memory", "VM.Config.Network", "VM.Config.HWType",
            "VM.Config.Options", "VM.Allocate", "VM.Clone", "VM.GuestAgent.Unrestricted", "VM.Migrate",
            "VM.Replicate", "VM.Snapshot", "VM.Snapshot.Rollback",
        ),
        "user": (
            "VM.Config.CDROM", "VM.Config.Cloudinit", "VM.Console", "VM.Backup", "VM.GuestAgent.FileRead",
            "VM.GuestAgent.FileSystemMgmt", "VM.GuestAgent.FileWrite", "VM.PowerMgmt",
        ),
        "audit": ("VM.Audit", "VM.GuestAgent.Audit"),
    },
    "Sys": {
        "root": ("Sys.PowerMgmt", "Sys.Modify", "Sys.Incoming", "Sys.AccessNetwork"),
        "admin": ("Sys.Console", "Sys.Syslog"),
        "audit": ("Sys.Audit",),
    },
    "Datastore": {
        "admin": ("Datastore.Allocate", "Datastore.AllocateTemplate"),
        "user": ("Datastore.AllocateSpace",),
        "audit": ("Datastore.Audit",),
    },
    "SDN": {"admin": ("SDN.Allocate",), "user": ("SDN.Use",), "audit": ("SDN.Audit",)},
    "User": {"root": ("Realm.Allocate",), "admin": ("User.Modify", "Group.Allocate", "Realm.AllocateUser")},
    "Pool": {"admin": ("Pool.Allocate",), "user": ("Pool.Audit",), "audit": ("Pool.Audit",)},
    "Mapping": {"admin": ("Mapping.Modify",), "user": ("Mapping.Use",), "audit": ("Mapping.Audit",)},
}  # fmt: skip


def build() -> dict[str, frozenset[str]]:
    """{role: privileges}."""
    built: dict[str, set[str]] = {"NoAccess": set(), "Administrator": {"Permissions.Modify"}, "PVEAdmin": set(),
                                  "PVEAuditor": set(), "PVETemplateUser": {"VM.Clone", "VM.Audit"}}  # fmt: skip
    for area, ranks in GROUPS.items():
        upper = {name for rank in ("admin", "user", "audit") for name in ranks.get(rank, ())}
        built[f"PVE{area}Admin"] = upper
        built["PVEAdmin"] |= upper - {"Mapping.Modify"}
        built["PVEAuditor"] |= set(ranks.get("audit", ()))
        built["Administrator"] |= upper | set(ranks.get("root", ()))
        if ranks.get("user"):
            built[f"PVE{area}User"] = {*ranks["user"], *ranks.get("audit", ())}
    return {role: frozenset(names) for role, names in built.items()}


PRIVILEGES_OF: Final = build()
ALL: Final = tuple(sorted(PRIVILEGES_OF["Administrator"]))
