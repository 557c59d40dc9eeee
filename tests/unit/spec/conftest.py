"""Small documents to build on, and where the golden cases are."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pytest

from transom.spec import bundle, loader, validate, wish
from transom.spec import resolve as resolving

GOLDEN = pathlib.Path(__file__).parents[2] / "golden" / "spec"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEV4YW1wbGUga2V5OiBwdXQgeW91ciBob3N0J3Mga2V5"
BASE = f"""apiVersion: transom/v1
kind: Cluster
metadata: {{name: home}}
spec:
  api:
    endpoints: ["https://192.0.2.11:8006"]
    token: {{id: transom@pve!transom, secret: {{env: TOKEN}}}}
    fingerprint: {":".join(["aB"] * 32)}
  ssh: {{key: {{file: ~/.ssh/id}}, user: admin, port: 2222}}
---
apiVersion: transom/v1
kind: Node
metadata: {{name: pve1, labels: {{site: attic}}}}
spec:
  cluster: home
  ssh: {{address: 192.0.2.11, host_key: {KEY}}}
  devices:
    igpu: {{id: "8086:9BC8:1849:9bc8", address: "00:02.0"}}
    nic: {{id: "8086:15b8"}}
"""
WHERE = validate.Whereabouts("/documents", "/home/me")


@pytest.fixture(scope="session")
def golden() -> pathlib.Path:
    return GOLDEN


@pytest.fixture(scope="session")
def base() -> str:
    """A cluster ``home`` and a node ``pve1`` with the devices igpu and nic."""
    return BASE


@pytest.fixture(scope="session")
def bundled() -> Callable[..., bundle.Bundle]:
    """Texts of documents, over the base, as a bundle with the shipped recipes."""

    def make(*texts: str, base: str = BASE) -> bundle.Bundle:
        own = loader.parse("---\n".join([base, *texts]), "fleet.yaml", WHERE)
        return loader.assemble(own, loader.shipped_recipes())

    return make


@pytest.fixture(scope="session")
def wished(bundled: Callable[..., bundle.Bundle]) -> Callable[..., wish.NodeWish]:
    """What texts of documents, over the base, want of the first node."""

    def make(*texts: str, base: str = BASE) -> wish.NodeWish:
        return resolving.resolve(bundled(*texts, base=base))[0]

    return make


@pytest.fixture(scope="session")
def document() -> Callable[[str, str, str], str]:
    """One document of text: kind, name, and its spec as indented YAML or as a flow mapping."""

    def make(kind: str, name: str, spec: str) -> str:
        return f"apiVersion: transom/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"

    return make
