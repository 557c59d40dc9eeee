"""``serve``: the daemon in the foreground, for systemd or a terminal."""

from __future__ import annotations

import logging
import pathlib
import secrets
import signal
import time

import click

from transom import daemon, errors, stopping
from transom.api import app, auth, feed, place, server, tokens
from transom.cli import common

DEFAULT = "127.0.0.1:7300"
_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PATH = click.Path(exists=True, dir_okay=False, path_type=pathlib.Path)


@click.command()
@common.state_option
@click.option("--listen", default=DEFAULT, show_default=True, metavar="ADDRESS:PORT", help="Port 0 takes any free one.")
@click.option("--tls-cert", type=_PATH, help="PEM file with the certificate and its chain.")
@click.option("--tls-key", type=_PATH, help="PEM file with its key.")
@click.option("--insecure", is_flag=True, help="Listen beyond loopback without TLS: tokens can be read on the way.")
def serve(
    state: pathlib.Path, listen: str, tls_cert: pathlib.Path | None, tls_key: pathlib.Path | None, insecure: bool
) -> None:
    """Keep the nodes as declared and serve the API, until SIGTERM; runs under way finish then."""
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key go together")
    host, port = _address(listen)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("apscheduler", "httpx", "httpcore", "alembic", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    with common.told():
        _serve(state, server.Listen(host, port, tls_cert, tls_key, insecure))


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) < 65536):
        raise click.UsageError(f"--listen {text}: give an address and a port, such as {DEFAULT} or [::1]:7300")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _serve(state: pathlib.Path, listen: server.Listen) -> None:
    stop = stopping.Stop()
    for number in _STOPPING:
        signal.signal(number, lambda *_: _told_to(stop))
    server.check(listen)
    secret = auth.mint(secrets.token_bytes)
    local = auth.Known(tokens.LOCAL, auth.Scope.ADMIN, auth.digest(secret))
    with daemon.open_keeper(state) as keeper, tokens.open_tokens(state) as kept:
        source = feed.Feed(keeper.events, secrets.token_hex(4))
        service = app.Service(keeper, auth.Gate(kept.look_up, (local,)), source, time.time)
        running = server.Server(app.make(service), listen, ending=source.stop)
        running.start()
        try:
            with place.published(state, place.Place(running.url, secret)):
                common.progress(f"transom serves {running.url}, state in {state}")
                _until(stop, running)
                common.progress("stopping: runs under way finish; a second signal does not wait for them")
        finally:
            running.stop()


def _told_to(stop: stopping.Stop) -> None:
    """The first signal ends in order; a second has its usual effect, and the next start goes on from what is there."""
    stop.set()
    for number in _STOPPING:
        signal.signal(number, signal.SIG_DFL)


def _until(stop: stopping.Stop, running: server.Server) -> None:
    while not stop.wait():
        if not running.alive:
            raise errors.TransomError("the HTTP server has ended by itself", hint="the log says why")
