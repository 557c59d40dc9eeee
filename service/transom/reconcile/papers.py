"""The stored documents and what they mean, with those of a request laid over them or some taken away."""

from __future__ import annotations

import pathlib
import threading
from collections.abc import Collection, Sequence

from transom import errors
from transom.reconcile import backend
from transom.spec import bundle, documents, loader, reserved, resolve, validate, wish
from transom.store import store


class Papers:
    """Thread-safe. What the stored documents mean is worked out once for each state of the store."""

    def __init__(self, kept: store.Store) -> None:
        self._store = kept
        self._shipped = loader.shipped_recipes()
        self._lock = threading.Lock()
        self.changing = threading.RLock()
        """Held from the check to the writing, by everybody who changes documents: what was checked apart might not fit together."""
        self._known: tuple[object, tuple[wish.NodeWish, ...]] = (None, ())

    def all(self) -> tuple[wish.NodeWish, ...]:
        """One for each Node document that is stored."""
        stamp = self._store.documents_stamp()
        with self._lock:
            if self._known[0] == stamp:
                return self._known[1]
        found = resolve.resolve(self.merged())
        with self._lock:
            self._known = (stamp, found)
        return found

    def misfit(self) -> str:
        """Why the stored documents do not fit together; empty when they do. Nothing is planned from them until they do."""
        try:
            self.all()
        except errors.SpecError as error:
            return str(error)
        return ""

    def roms(self) -> tuple[wish.RomWish, ...]:
        """Every ROM that is declared."""
        return resolve.roms(self.merged())

    def find(self, node: str) -> wish.NodeWish | None:
        return next((one for one in self.all() if one.name == node), None)

    def need(self, node: str) -> wish.NodeWish:
        """Rejected when no document declares it."""
        found = self.find(node)
        if found is None:
            raise errors.Rejected(f"no document declares node {node!r}", hint="transom node ls lists those that are")
        return found

    def merged(self, over: Sequence[bundle.Loaded] = (), without: Collection[str] = ()) -> bundle.Bundle:
        """SpecError with every mistake when the documents do not fit together then."""
        found = {item.title: item for item in map(bundle.from_plain, self._store.documents())}
        stored = found.keys() - {item.title for item in over} if over else ()
        found |= {item.title: item for item in over}
        kept = (item for title, item in found.items() if title not in without)
        return loader.assemble(kept, self._shipped, frozenset(stored))

    def parse(self, texts: Sequence[backend.Text]) -> list[bundle.Loaded]:
        """The documents of ``texts``; SpecError with every mistake of all of them, also of what does not fit those stored."""
        if not texts:
            return []
        stored = map(bundle.from_plain, self._store.documents())
        return loader.parse_together(
            ((text.text, text.name, _whereabouts(text.name)) for text in texts), stored, self._shipped
        )

    def reserved(self, texts: Sequence[backend.Text]) -> tuple[str, ...]:
        """As ``Backend.reserved``."""
        return reserved.reserved(self.parse(texts), [bundle.from_plain(one) for one in self._store.documents()])

    def title(self, name: str) -> str:
        """``Kind/name`` of the stored document called so, with or without its kind. Rejected when there is none, or several."""
        titles = [item.title for item in map(bundle.from_plain, self._store.documents())]
        found = [title for title in titles if name in (title, title.partition("/")[2])]
        if not found:
            raise errors.Rejected(f"there is no document {name!r}", hint=f"there are: {_some(titles)}")
        if len(found) > 1:
            raise errors.Rejected(f"{name!r} is {' and '.join(found)}", hint="give the kind too")
        return found[0]

    def users(self, title: str) -> list[str]:
        """``Kind/name`` of the stored documents that refer to this one and would not go with it."""
        gone = self.with_parts(title)
        items = map(bundle.from_plain, self._store.documents())
        return [item.title for item in items if item.title not in gone and title in _refers(item.document)]

    def with_parts(self, title: str) -> tuple[str, ...]:
        """The document and those that make no sense without it: the VMs of a node."""
        kind, _, name = title.partition("/")
        if kind != "Node":
            return (title,)
        vms = self.merged().of(documents.VirtualMachine).values()
        return (title, *(item.title for item, vm in vms if vm.spec.node == name))


def _some(titles: Sequence[str], most: int = 12) -> str:
    """The first of them by name, and how many more there are."""
    listed = sorted(titles)
    more = [f"and {len(listed) - most} more"] if len(listed) > most else []
    return ", ".join([*listed[:most], *more]) or "none"


def _refers(document: documents.Document) -> set[str]:
    """``Kind/name`` of what a document cannot do without."""
    match document:
        case documents.Node(spec=node):
            return {f"Cluster/{node.cluster}"}
        case documents.VirtualMachine(spec=vm):
            return {f"Node/{vm.node}", f"Rom/{vm.rom}", f"Recipe/{vm.recipe}"}
        case documents.Policy(spec=policy):
            return {f"Node/{name}" for name in policy.selector.nodes}
        case _:
            return set()


def _whereabouts(name: str) -> validate.Whereabouts | None:
    path = pathlib.Path(name)
    return validate.Whereabouts(str(path.parent), str(pathlib.Path.home())) if path.is_absolute() else None
