"""One authenticated connection: our own socket, the pinned host key, one key to log in with, and a limit for each wait."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import socket

import paramiko

from transom import errors
from transom.spec import wish
from transom.ssh import keys

# paramiko logs tracebacks of what it also raises; what it raises is translated here.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)

_IDLE_WAKE = 30.0
"""Seconds between two looks of an idle connection's thread. paramiko looks ten times a second, which costs 400 idle
connections 7-10 % of a core and makes an exec beside them six times as dear."""


@dataclasses.dataclass(frozen=True)
class Timeouts:
    """In seconds."""

    connect: float = 10.0
    answer: float = 15.0
    """Of a host that has taken the connection: for its banner, the key exchange, the login, and each start of a command."""


class Line:
    """An open connection. ``transport`` is paramiko's; ``close`` ends it at once."""

    def __init__(self, sock: socket.socket, transport: paramiko.Transport) -> None:
        self._sock = sock
        self.transport = transport

    def alive(self) -> bool:
        """Whether commands can be sent, as far as is known here."""
        return self.transport.is_active()

    def settle(self) -> None:
        """From now on wake seldom. The timeout of our own socket is what paramiko's thread sleeps on."""
        self._sock.settimeout(_IDLE_WAKE)

    def close(self) -> None:
        """Idempotent. The shutdown wakes the thread that sleeps in recv; closing the descriptor alone would not."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self.transport.close()
        self._sock.close()


def open_line(access: wish.Access, timeouts: Timeouts) -> Line:
    """Connect, check the host key, log in. Unreachable, or Denied (host key, private key)."""
    place = f"{access.ssh_user}@{access.ssh_host}:{access.ssh_port}"
    pinned = keys.parse_host_key(access.ssh_host_key)
    own = keys.read_private_key(access.ssh_key)
    sock = _connect(access, timeouts)
    try:
        line = Line(sock, _transport(sock, timeouts))
    except (paramiko.SSHException, OSError) as error:
        sock.close()
        raise errors.Unreachable(f"{place}: {error}") from error
    try:
        _check_host(line.transport, pinned, timeouts, place)
        _log_in(line.transport, access.ssh_user, own, place)
    except BaseException:
        line.close()
        raise
    line.settle()
    return line


def _connect(access: wish.Access, timeouts: Timeouts) -> socket.socket:
    try:
        sock = socket.create_connection((access.ssh_host, access.ssh_port), timeout=timeouts.connect)
    except OSError as error:
        raise errors.Unreachable(f"cannot connect to {access.ssh_host}:{access.ssh_port}: {error}") from error
    # Nagle and delayed acknowledgement together cost 40 ms an exec.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A host that vanished shows by TCP's own probes, without a wake of ours.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    return sock


def _transport(sock: socket.socket, timeouts: Timeouts) -> paramiko.Transport:
    transport = paramiko.Transport(sock)
    transport.banner_timeout = timeouts.answer
    transport.auth_timeout = timeouts.answer
    transport.channel_timeout = timeouts.answer
    return transport


def shown_key(access: wish.Access, timeouts: Timeouts) -> paramiko.PKey:
    """The key that the host shows, of the pinned kind if it has one; nobody logs in. Unreachable."""
    place = f"{access.ssh_host}:{access.ssh_port}"
    sock = _connect(access, timeouts)
    try:
        line = Line(sock, _transport(sock, timeouts))
    except (paramiko.SSHException, OSError) as error:
        sock.close()
        raise errors.Unreachable(f"{place}: {error}") from error
    try:
        return _shown(line.transport, keys.parse_host_key(access.ssh_host_key), timeouts, place)
    finally:
        line.close()


def _check_host(transport: paramiko.Transport, pinned: paramiko.PKey, timeouts: Timeouts, place: str) -> None:
    shown = _shown(transport, pinned, timeouts, place)
    if shown.asbytes() != pinned.asbytes():
        raise errors.Denied(
            f"{place} shows host key {shown.get_name()} {shown.fingerprint}, pinned is {pinned.get_name()} {pinned.fingerprint}",
            hint="reinstalled, or another machine answers: compare on the host's console before pinning anew (transom pin)",
        )


def _shown(transport: paramiko.Transport, pinned: paramiko.PKey, timeouts: Timeouts, place: str) -> paramiko.PKey:
    options = transport.get_security_options()
    wanted = keys.host_key_algorithms(pinned)
    # Asked for first, so that a host with several keys shows the pinned one.
    options.key_types = [*wanted, *(name for name in options.key_types if name not in wanted)]
    try:
        transport.start_client(timeout=timeouts.answer)
        return transport.get_remote_server_key()
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise errors.Unreachable(f"{place}: no SSH session: {error or 'connection closed'}") from error


def _log_in(transport: paramiko.Transport, user: str, own: paramiko.PKey, place: str) -> None:
    try:
        more = transport.auth_publickey(user, own)
    except paramiko.BadAuthenticationType as error:
        raise errors.Denied(f"{place} takes no keys, only {', '.join(error.allowed_types)}") from error
    except paramiko.AuthenticationException as error:
        # paramiko calls a broken line and a timeout a failed authentication, too.
        if not transport.is_active() or "timeout" in str(error):
            raise errors.Unreachable(f"{place}: while logging in: {error}") from error
        raise errors.Denied(f"{place} refuses key {own.fingerprint}", hint="is it in authorized_keys?") from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise errors.Unreachable(f"{place}: while logging in: {error}") from error
    if more:
        raise errors.Denied(f"{place} wants more than a key: {', '.join(more)}")
