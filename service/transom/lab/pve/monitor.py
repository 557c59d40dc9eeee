"""QEMU's monitor: which command needs which right, and the few answers that the lab has."""

from __future__ import annotations

from typing import Final

from transom.lab.pve import access, node, replies, runstate

MODIFY: Final = frozenset((
    "announce_self", "backup_cancel", "balloon", "block_job_cancel", "block_job_complete", "block_job_pause",
    "block_job_resume", "block_job_set_speed", "block_resize", "block_set_io_throttle", "boot_set", "c",
    "calc_dirty_rate", "cancel_vcpu_dirty_limit", "chardev-send-break", "closefd", "commit", "cont", "cpu", "delvm",
    "eject", "exit_preconfig", "expire_password", "getfd", "gpa2hpa", "gpa2hva", "gva2gpa", "i", "loadvm", "log",
    "migrate_cancel", "migrate_continue", "migrate_pause", "migrate_set_capability", "migrate_set_parameter",
    "migrate_start_postcopy", "mouse_button", "mouse_move", "mouse_set", "one-insn-per-tb", "p", "print", "q",
    "qemu-io", "qom-get", "qom-list", "quit", "replay_break", "replay_delete_break", "replay_seek", "ringbuf_read",
    "ringbuf_write", "s", "savevm", "sendkey", "set_link", "set_password", "set_vcpu_dirty_limit",
    "snapshot_blkdev_internal", "snapshot_delete_blkdev_internal", "stop", "stopcapture", "sum", "sync-profile",
    "system_powerdown", "system_reset", "system_wakeup", "trace-event", "x", "x_colo_lost_heartbeat", "xp",
))  # fmt: skip
ROOT: Final = frozenset((
    "backup", "block_stream", "change", "chardev-add", "chardev-change", "chardev-remove", "client_migrate_info",
    "device_add", "device_del", "drive_add", "drive_backup", "drive_del", "drive_mirror", "dump-guest-memory",
    "dumpdtb", "gdbserver", "hostfwd_add", "hostfwd_remove", "logfile", "mce", "memsave", "migrate",
    "migrate_incoming", "migrate_recover", "nbd_server_add", "nbd_server_remove", "nbd_server_start",
    "nbd_server_stop", "netdev_add", "netdev_del", "nmi", "o", "object_add", "object_del", "pcie_aer_inject_error",
    "pmemsave", "qom-set", "savevm-end", "savevm-start", "screendump", "snapshot_blkdev", "watchdog_action",
    "wavcapture", "xen-event-inject", "xen-event-list",
))  # fmt: skip
FREE: Final = frozenset((
    "?", "help", "info",
))  # fmt: skip


def check(here: node.Node, caller: access.Caller, line: str) -> None:
    """May the caller give this command?"""
    word = line.split(None, 1)[0] if line.split() else ""
    if not line:
        replies.die("no command specified")
    if not word:
        replies.die(f"unexpected command '{line}'")
    if word in FREE:
        return
    if word in MODIFY:
        here.access.check(caller, "/", "Sys.Modify")
    elif not caller.root:
        replies.die(
            f"root-only command '{word}'"
            if word in ROOT
            else f"command '{word}' non-existent or not assigned a required permission yet, limiting to root user"
        )


def answer(here: node.Node, vmid: int, line: str) -> str:
    """What QEMU says; commands that the lab cannot act on are unknown to it."""
    here.load(vmid)
    running = runstate.read(here.place, vmid)
    if running is None:
        return f"ERROR: VM {vmid} not running\n"
    if line == "info version":
        return f"{running.qemu}\r\n"
    if line == "info status":
        return f"VM status: {'paused' if running.paused else 'running'}\r\n"
    return f"unknown command: '{line.split()[0]}'\r\n"
