"""The one owner of proxmoxer: typed calls of the Proxmox VE API, tasks followed to their end, errors translated once.

Says what PVE says; decides nothing, repeats no write. What only root may set is refused here by PVE and goes over SSH.

    with pve.connect(access) as api:
        values, digest = api.config("pve1", 100)
        api.update("pve1", 100, values={"onboot": True}, digest=digest)
        api.wait(api.start("pve1", 100), timeout=300)
"""

from transom.pve.answers import ClusterStatus, Node, Pending
from transom.pve.client import Connector, Pve, connect
from transom.pve.outside import Outside
from transom.pve.tasks import Task

__all__ = ["ClusterStatus", "Connector", "Node", "Outside", "Pending", "Pve", "Task", "connect"]
