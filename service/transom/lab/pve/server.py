"""The HTTPS server of a lab node: pveproxy's habits around the table of routes.

Every answer of 400 and above closes the connection; a refused login waits; the reason phrase carries the first line of
the message.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from transom.lab.pve import access, bodies, certificate, files, install, power, replies, routes, routing, tasks, world
from transom.lab.pve.node import Node

JSON: Final = "application/json;charset=UTF-8"
LARGEST_FORM: Final = 512 * 1024
METHODS: Final = ("GET", "POST", "PUT", "DELETE", "HEAD")
WATCH_SECONDS: Final = 0.5


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "pve-api-daemon/3.0"
    sys_version = ""
    here: Node
    timeout = 65

    def log_message(self, *_: object) -> None:
        """Quiet: the tests have better ways to look."""

    def do_GET(self) -> None:
        self.handle_call()

    do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_GET

    def handle_call(self) -> None:
        try:
            self.answer_call()
        except bodies.Unreadable as error:
            self.send(error.status, error.reason, error.body.encode(), "")
        except replies.Refused as error:
            self.refuse(error)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def answer_call(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        if self.command not in METHODS:
            raise bodies.Unreadable(501, f"method '{self.command}' not available")
        if not path.startswith("/api2/json"):
            raise bodies.Unreadable(404, f"no such file '{path}'")
        path = path.removeprefix("/api2/json").rstrip("/") or "/"
        body = self.read_body()
        caller = self.login(path)
        request = routing.Request(self.here, caller or access.Caller(""), {})
        if self.command == "POST" and path.endswith("/upload"):
            request = self.read_upload(request, path, body)
        else:
            params = bodies.form(parts.query) | bodies.parse(self.headers.get("Content-Type", ""), body)
            request = routing.Request(self.here, request.caller, {}, params)
        self.reply(routing.dispatch(routes.TABLE, self.here, caller, self.command, request, path))

    # -- reading

    def read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            raise bodies.Unreadable(501, "chunked transfer encoding not supported")
        length = int(self.headers.get("Content-Length") or 0)
        if length and self.command in ("GET", "DELETE"):
            raise bodies.Unreadable(501, f"Unexpected content for method '{self.command}'")
        if length > LARGEST_FORM and "multipart" not in self.headers.get("Content-Type", ""):
            raise bodies.Unreadable(501, "for data too large")
        return self.rfile.read(length) if length else b""

    def read_upload(self, request: routing.Request, path: str, body: bytes) -> routing.Request:
        """An upload is checked while it comes in, so its refusals have no JSON."""
        kind = self.headers.get("Content-Type", "")
        if "multipart/form-data" not in kind:
            # pveproxy gives up here without an answer
            self.connection.shutdown(socket.SHUT_RDWR)
            raise BrokenPipeError
        found = routes.TABLE.find("POST", path)
        if found:
            target = routing.need_node(self.here, found[1]["node"])
            try:
                routing.check_right(target, request.caller, found[0].right, found[1], public=False)
            except replies.Refused as error:
                time.sleep(self.here.world.delay)
                raise bodies.Unreadable(error.status, error.reason) from error
        params, uploads = bodies.multipart(kind, body)
        name, content = uploads.get("filename", ("", b""))
        bodies.check_sum(params, content)
        return routing.Request(self.here, request.caller, {}, {**params, "filename": name}, uploads)

    def login(self, path: str) -> access.Caller | None:
        """Who asks; None for a path that needs nobody."""
        try:
            return self.identify()
        except replies.Refused as error:
            found = routes.TABLE.find(self.command, path)
            if found and found[0].public:
                return None
            time.sleep(self.here.world.delay)
            raise bodies.Unreadable(error.status, error.reason) from error

    def identify(self) -> access.Caller:
        rights = self.here.access
        scheme, _, value = self.headers.get("Authorization", "").partition("=")
        if scheme == "PVEAPIToken":
            caller = rights.token_caller(value)
            if caller is None:
                replies.unauthorized("Authentication failed!")
            return caller
        ticket = value if scheme == "PVEAuthCookie" else self.cookie("PVEAuthCookie")
        if not ticket:
            replies.unauthorized("No ticket")
        user = rights.ticket_user(unquote(ticket))
        if not user:
            replies.unauthorized("Authentication failed!")
        if self.command != "GET" and not rights.csrf_fits(user, self.headers.get("CSRFPreventionToken", "")):
            replies.unauthorized("Permission denied - invalid csrf token")
        return access.Caller(user)

    def cookie(self, name: str) -> str:
        for part in self.headers.get("Cookie", "").split(";"):
            key, _, value = part.strip().partition("=")
            if key == name:
                return value
        return ""

    # -- answering

    def reply(self, data: object) -> None:
        if isinstance(data, routing.Download):
            packed = len(data.content) > 1024
            content = gzip.compress(data.content) if packed else data.content
            self.send(200, "OK", content, data.content_type, {"Content-Encoding": "gzip"} if packed else {})
            return
        body: dict[str, object] = {"data": data}
        if isinstance(data, routing.Answer):
            body = {"data": data.data, "total": data.total}
        self.send(200, "OK", json.dumps(body).encode(), JSON)

    def refuse(self, error: replies.Refused) -> None:
        if error.status == 401:
            time.sleep(self.here.world.delay)
        message = error.text if error.status == 501 else f"{error.text}\n"
        body: dict[str, object] = {"data": None, "message": message}
        if error.errors:
            body["errors"] = {name: list_words(name, text) for name, text in error.errors.items()}
        self.send(error.status, error.reason, json.dumps(body).encode(), JSON)

    def send(self, status: int, reason: str, body: bytes, kind: str, more: Mapping[str, str] | None = None) -> None:
        self.send_response(status, reason.encode("latin-1", "replace").decode("latin-1"))
        if kind:
            self.send_header("Content-Type", kind)
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=0")
        if status >= 400:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)


def list_words(name: str, text: str) -> str:
    """pveproxy sorts what stands under `content` as a list, complaints too."""
    return ",".join(sorted(text.split(","))) if name == "content" else text


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    context: ssl.SSLContext

    def __init__(self, address: tuple[str, int], handler: type[Handler]) -> None:
        super().__init__(address, handler)
        self.open: set[socket.socket] = set()
        self.guard = threading.Lock()

    def hang_up(self) -> None:
        """Kept connections end with the server, as with a machine that goes down."""
        with self.guard:
            for one in self.open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def finish_request(self, request: object, client_address: object) -> None:
        """The TLS handshake belongs to the connection's thread: a silent client must not stop the others."""
        assert isinstance(request, socket.socket)
        request.settimeout(30)
        try:
            wrapped = self.context.wrap_socket(request, server_side=True)
        except OSError:
            return
        wrapped.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.guard:
            self.open.add(wrapped)
        try:
            self.RequestHandlerClass(wrapped, client_address, self)  # type: ignore[arg-type]
        finally:
            with self.guard:
                self.open.discard(wrapped)
            wrapped.close()


class Server:
    """A running server. `fingerprint` is the certificate's SHA-256 in colon hex."""

    def __init__(self, here: Node, port: int) -> None:
        pem, key = certificate.ensure(here.place.path("etc/pve/local"), here.name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem, key)
        handler = type("NodeHandler", (Handler,), {"here": here})
        self.listener = Listener(("127.0.0.1", port), handler)
        self.listener.context = context
        self.node = here
        self.fingerprint = certificate.fingerprint(pem)
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self.listener.serve_forever, args=(0.05,), daemon=True),
                        threading.Thread(target=self.watch, daemon=True)]  # fmt: skip
        for thread in self.threads:
            thread.start()

    @property
    def port(self) -> int:
        return int(self.listener.server_address[1])

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def watch(self) -> None:
        """Counts writes to configurations that nobody announces (an editor's)."""
        while not self.stopped.wait(WATCH_SECONDS):
            files.refresh(self.node.place)

    def start_guests(self) -> None:
        """What pve-guests does after a boot: one after the other, those with ``onboot``."""
        first = [vmid for vmid in self.node.place.vmids() if self.node.load(vmid).main.get("onboot") == "1"]
        if first:
            self.node.tasks.start("startall", "", access.Caller("root@pam"), lambda _: self._start_all(first))

    def _start_all(self, vmids: list[int]) -> None:
        own = tasks.Tasks(self.node.place, background=False)
        for vmid in vmids:
            own.start("qmstart", str(vmid), access.Caller("root@pam"), partial(power.start, self.node, vmid))

    def close(self) -> None:
        self.stopped.set()
        self.listener.shutdown()
        self.listener.server_close()
        self.listener.hang_up()
        for thread in self.threads:
            thread.join(5)


def serve(state: world.World, root: Path, port: int = 0, *, node: str = "", roots: Mapping[str, Path] | None = None
          ) -> Server:  # fmt: skip
    """Serves `node` (the world's first) from `root` on loopback; port 0 takes a free one.

    `roots` are the other nodes' roots, so that /nodes/OTHER/… can be answered from theirs.
    """
    place = install.install(state, root, node or state.nodes[0])
    reachable = {**(roots or {}), place.node: root}
    share_key(place, reachable)
    here = Node(state, place, tasks.Tasks(place), reachable)
    return Server(here, port)


def share_key(place: files.NodeFiles, roots: Mapping[str, Path]) -> None:
    """A cluster signs its tickets with one key: that of the first of its nodes by name."""
    first = roots[min(roots)] / "etc/pve/priv/authkey.key"
    own = place.path("etc/pve/priv/authkey.key")
    if first.exists() and first.read_bytes() != own.read_bytes():
        files.write(own, first.read_bytes())
