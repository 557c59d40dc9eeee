"""The one owner of proxmoxer: calls, tasks, errors translated once."""
