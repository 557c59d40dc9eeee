"""All routes of the API in one table."""

from __future__ import annotations

from typing import Final

from transom.lab.pve import (
    api_access,
    api_agent,
    api_cluster,
    api_drives,
    api_nodes,
    api_storage,
    api_tasks,
    api_vms,
    routing,
)

TABLE: Final = routing.Table((
    *api_nodes.ROUTES, *api_vms.ROUTES, *api_drives.ROUTES, *api_agent.ROUTES, *api_tasks.ROUTES, *api_storage.ROUTES,
    *api_cluster.ROUTES, *api_access.ROUTES,
))  # fmt: skip
