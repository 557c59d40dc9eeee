"""What documents pin (the API's certificate, SSH host keys) beside what is shown now. Looks without logging in; changes nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from transom import errors
from transom.spec import wish


class Certificate(Protocol):
    """A certificate as ``pve.tls`` reads it."""

    @property
    def fingerprint(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def issuer(self) -> str: ...
    @property
    def since(self) -> object: ...
    @property
    def until(self) -> object: ...


class HostKey(Protocol):
    """A host key as ``ssh`` reads it."""

    @property
    def text(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...


@dataclasses.dataclass(frozen=True)
class Pin:
    """One pinned thing. ``old`` and ``new`` are for reading; ``value`` is what the document would say at ``path``."""

    kind: str
    """``Cluster`` or ``Node``; with ``name`` the document."""
    name: str
    path: tuple[str, ...]
    where: str
    old: str
    new: str = ""
    value: str = ""
    about: str = ""
    """Subject, issuer and validity of a certificate."""
    error: str = ""
    """Why nothing could be seen; ``new`` is empty then."""

    @property
    def differs(self) -> bool:
        """Whether something else is shown than is pinned."""
        return not self.error and self.old != self.new


def look(
    nodes: Sequence[wish.NodeWish],
    certificate: Callable[[str], Certificate],
    host_key: Callable[[wish.Access], tuple[HostKey, HostKey]],
) -> Iterator[Pin]:
    """The endpoints of the cluster that ``nodes`` are all of, then the nodes' host keys."""
    for number in range(len(nodes[0].access.endpoints)):
        yield _endpoint(nodes[0], number, certificate)
    for node in nodes:
        if node.access.ssh_host:
            yield _host(node, host_key)


def _endpoint(node: wish.NodeWish, number: int, ask: Callable[[str], Certificate]) -> Pin:
    access = node.access
    endpoint = access.endpoints[number]
    old = (access.fingerprints[number] if access.fingerprints else access.fingerprint) or f"signed by {access.ca}"
    place = ("fingerprints", str(number)) if access.fingerprints else ("fingerprint",)
    pin = Pin("Cluster", node.cluster, ("spec", "api", *place), endpoint, old)
    try:
        found = ask(endpoint)
    except errors.TransomError as error:
        return dataclasses.replace(pin, error=str(error))
    about = f"subject {found.subject}, issuer {found.issuer}, valid {found.since} to {found.until}"
    if not access.pins:
        # What a CA stands for is checked with each connection; there is nothing to put anew.
        return dataclasses.replace(pin, new=old, about=f"{about}, SHA-256 {found.fingerprint}")
    return dataclasses.replace(pin, new=found.fingerprint, value=found.fingerprint, about=about)


def _host(node: wish.NodeWish, ask: Callable[[wish.Access], tuple[HostKey, HostKey]]) -> Pin:
    pin = Pin("Node", node.name, ("spec", "ssh", "host_key"), f"{node.access.ssh_host}:{node.access.ssh_port}", "")
    try:
        old, new = ask(node.access)
    except errors.TransomError as error:
        return dataclasses.replace(pin, error=str(error))
    return dataclasses.replace(pin, old=old.fingerprint, new=new.fingerprint, value=new.text)
