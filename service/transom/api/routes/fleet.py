"""What is true: nodes, their facts, VMs, drift."""

from __future__ import annotations

import dataclasses

from transom import model
from transom.api import accept, auth, problem, route, wire
from transom.guest import hidden
from transom.reconcile import backend, good
from transom.report import drift_text


def _nodes(call: route.Call) -> route.Answer:
    return route.Answer(route.every(call.backend.nodes()))


def _facts(call: route.Call) -> route.Answer:
    name = _declared(call)
    facts = call.backend.facts(name)
    if not isinstance(facts.guests, model.Unknown):
        facts = dataclasses.replace(facts, guests={vmid: _covered(file) for vmid, file in facts.guests.items()})
    if not isinstance(facts.started, model.Unknown):
        facts = dataclasses.replace(facts, started={vmid: _quiet(one) for vmid, one in facts.started.items()})
    return route.Answer(model.to_json(facts))


def _last_good(call: route.Call) -> route.Answer:
    return route.Answer(call.backend.last_good(_declared(call)))


def _quiet(one: model.Started) -> model.Started:
    """The passwords among QEMU's words are those of the VM's ``args``."""

    def covered(argv: tuple[str, ...] | model.Unknown) -> tuple[str, ...] | model.Unknown:
        return argv if isinstance(argv, model.Unknown) else tuple(map(hidden.words, argv))

    return dataclasses.replace(one, argv=covered(one.argv), wanted=covered(one.wanted))


def _covered(file: model.GuestFile) -> model.GuestFile:
    """Whoever may look need not know the passwords of VMs, least of all of those that nobody declares."""
    return file if isinstance(file.text, model.Unknown) else dataclasses.replace(file, text=hidden.text(file.text))


def _scan(call: route.Call) -> route.Answer:
    name = _declared(call)
    call.backend.scan(name, by=call.caller.name)
    return route.Answer(_row(call))


def _resume(call: route.Call) -> route.Answer:
    call.backend.resume_node(_declared(call), by=call.caller.name)
    return route.Answer(_row(call))


def _declared(call: route.Call) -> str:
    """The path's node, when a document declares it."""
    return _row(call).name


def _row(call: route.Call) -> backend.NodeRow:
    name = call.path["name"]
    found = next((row for row in call.backend.nodes() if row.name == name), None)
    if found is None:
        raise problem.not_found(
            f"no document declares node {name!r}", "`transom node ls` or GET /v1/nodes lists those that are"
        )
    return found


def _vms(call: route.Call) -> route.Answer:
    return route.Answer(route.every(call.backend.vms()))


def _drift(call: route.Call) -> route.Answer:
    rows = call.backend.drift(call.query.get("node", ""))
    if accept.choose(call.headers.get("accept", ""), ("application/json", accept.MARKDOWN)) == accept.MARKDOWN:
        text = drift_text.markdown(rows, now=call.now)
        return route.Answer(text.encode(), media=f"{accept.MARKDOWN}; charset=utf-8", headers={"Vary": "Accept"})
    return route.Answer(route.every(rows), headers={"Vary": "Accept"})


ROUTES = (
    route.Route(
        "GET",
        "/v1/nodes",
        auth.Scope.VIEWER,
        "The declared nodes and how each stands.",
        _nodes,
        wire.Items[backend.NodeRow],
    ),
    route.Route(
        "GET",
        "/v1/nodes/{name}/facts",
        auth.Scope.VIEWER,
        "Everything that is known of a node; passwords in configurations of VMs are covered.",
        _facts,
        model.Facts,
        slow=True,
        also={502: "the node cannot be reached"},
    ),
    route.Route(
        "GET",
        "/v1/nodes/{name}/last-good",
        auth.Scope.VIEWER,
        "What the node was when it was last as declared (kernel, QEMU, BIOS, groups and drivers of devices, ROMs, files by their "
        "hash), since when, and what of that is another at the last look.",
        _last_good,
        good.LastGood,
        slow=True,
        also={502: "the node cannot be reached"},
    ),
    route.Route(
        "POST",
        "/v1/nodes/{name}/scan",
        auth.Scope.OPERATOR,
        "Look at a node soon; answers with what is known of it so far.",
        _scan,
        backend.NodeRow,
        status=202,
    ),
    route.Route(
        "POST",
        "/v1/nodes/{name}/resume",
        auth.Scope.APPROVER,
        "Somebody has seen why the node went back by itself after a reboot: changes of it may be planned and approved again.",
        _resume,
        backend.NodeRow,
        slow=True,
        also={409: "the node did not go back", 502: "the node cannot be reached"},
    ),
    route.Route(
        "GET", "/v1/vms", auth.Scope.VIEWER, "The declared VMs and their state.", _vms, wire.Items[backend.VmRow]
    ),
    route.Route(
        "GET",
        "/v1/drift",
        auth.Scope.VIEWER,
        "Every difference and finding that stands now, each once, with since when and why. As a report for people with "
        "`Accept: text/markdown`.",
        _drift,
        wire.Items[backend.DriftRow],
        query=(route.NODE,),
        media=(accept.MARKDOWN,),
    ),
)
