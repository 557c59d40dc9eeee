"""Until the next plan is empty: what would not be is left out, with the reason; then recipes, where one fits exactly."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

from transom import errors, model
from transom.guest import registry
from transom.plan import make, result
from transom.plan.adopt import sheet as sheets
from transom.plan.draft import Ledger
from transom.spec import bundle, documents, loader, resolve, within

_FILE = "adopted"
Trouble = tuple[str, str]
"""What and where: a drift's path and level, or a holding finding's id and subject."""


@dataclasses.dataclass(frozen=True)
class Ground:
    """What documents, facts and ledger there are without the new ones, and what is wrong with that already."""

    docs: bundle.Bundle
    facts: model.Facts
    ledger: Ledger
    before: frozenset[Trouble] = frozenset()


@dataclasses.dataclass(frozen=True)
class Settled:
    """``rest``: what still is not empty, and leaving out nothing helps."""

    sheet: sheets.Sheet
    rest: Mapping[Trouble, str]


def settle(sheet: sheets.Sheet, docs: bundle.Bundle, facts: model.Facts, ledger: Ledger) -> Settled:
    """The sheet under which the plan of the node says nothing that it did not say before."""
    ground = Ground(docs, facts, ledger)
    ground = dataclasses.replace(ground, before=frozenset(_troubles(_plan(sheet, (), ground))))
    sheet = _sayable(sheet)
    trouble = _trouble(sheet, ground)
    while trouble:
        found = _less(sheet, ground, trouble)
        if found is None:
            break
        sheet, trouble = found
    return Settled(_recipes(sheet, ground, trouble), trouble)


def merged(docs: bundle.Bundle, new: Iterable[bundle.Loaded]) -> bundle.Bundle:
    """The documents with ``new`` over those of the same name; SpecError when they do not fit together."""
    own = {item.title: item for item in docs.own} | {item.title: item for item in new}
    return loader.assemble(own.values(), docs.shipped)


def _plan(sheet: sheets.Sheet, plain: Iterable[sheets.Plain], ground: Ground) -> result.Plan:
    new = [bundle.from_plain({"document": one, "file": _FILE, "lines": {}}) for one in plain]
    if wrong := [problem for item in new for problem in within.check(item)]:
        raise errors.SpecError(wrong)
    (node,) = [one for one in resolve.resolve(merged(ground.docs, new)) if one.name == sheet.node.name]
    return make.make(node, ground.facts, ground.ledger)


def _troubles(plan: result.Plan) -> dict[Trouble, str]:
    """What keeps the plan from being empty, with the reason."""
    found = {(drift.path, drift.level.value): _why(drift) for drift in plan.drifts}
    found |= {(one.id, one.subject): f"{one.id}: {one.summary}" for one in plan.findings if one.holds}
    if plan.actions and not found:
        found[("actions", plan.node)] = "; ".join(action.describe() for action in plan.actions)
    return found


def _why(drift: model.Drift) -> str:
    if drift.level is model.Level.EFFECTIVE:
        return f"is there, but not in effect ({drift.why})" if drift.why else "is there, but not in effect"
    return f"would be changed: {drift.why}" if drift.why else "would be changed"


def _trouble(sheet: sheets.Sheet, ground: Ground) -> dict[Trouble, str]:
    """What is new; a document that is wrong with others (``boot`` names a drive that is left out) is trouble too."""
    try:
        found = _troubles(_plan(sheet, sheet.documents(), ground))
    except errors.SpecError as error:
        return {("document", problem.path): str(problem) for problem in error.rows}
    return {what: why for what, why in found.items() if what not in ground.before}


# --- leaving out -----------------------------------------------------------------------------------------------------


def _sayable(sheet: sheets.Sheet) -> sheets.Sheet:
    """Without the keys that no document can say."""
    for vm in sheet.kept:
        for key, reason in sheet.vm_spec(vm)[1].items():
            sheet = sheet.without(vm.key(key), reason)
    return sheet


def _less(
    sheet: sheets.Sheet, ground: Ground, trouble: Mapping[Trouble, str]
) -> tuple[sheets.Sheet, dict[Trouble, str]] | None:
    """The first thing whose absence makes less trouble; None when there is none."""
    for path in dict.fromkeys(path for what in trouble for path in _candidates(sheet, what)):
        without = sheet.without(path, "")
        rest = _trouble(without, ground)
        if rest.keys() < trouble.keys():
            reason = "; ".join(why for what, why in trouble.items() if what not in rest)
            return sheet.without(path, reason), rest
    return None


def _candidates(sheet: sheets.Sheet, trouble: Trouble) -> Iterator[str]:
    """What may be at fault, the likeliest first."""
    what, where = trouble
    items = [item.path for item in sheet.items if sheet.has(item.path)]
    keys = {vm.path: [vm.key(key) for key in vm.keys if sheet.has(vm.key(key))] for vm in sheet.kept}
    yield from (path for path in items if path == what)
    told = f"{what}/ {where} "
    concerned = [vm.path for vm in sheet.kept if f"VM {vm.vmid} " in told or f"{vm.path}/" in told or vm.name in where]
    for vm in concerned or (keys if what == "document" else ()):
        yield from sorted(keys[vm], key=lambda path: (path != what, path.rpartition("/")[2] not in where))
    yield from sorted(items, key=lambda path: path.rpartition("/")[2] not in f"{what} {where}")
    yield from (path for vm in keys if vm not in concerned for path in keys[vm] if "/hostpci" in path)
    yield from concerned
    yield from (vm for vm in keys if vm not in concerned)


# --- recipes ---------------------------------------------------------------------------------------------------------


def _recipes(sheet: sheets.Sheet, ground: Ground, trouble: Mapping[Trouble, str]) -> sheets.Sheet:
    """A VM that is in every line what a recipe would make of it gets the recipe in place of these lines."""
    if trouble:
        return sheet
    for vm in sheet.kept:
        if not vm.device or not sheet.has(vm.key("hostpci0")):
            continue
        for _, recipe in ground.docs.of(documents.Recipe).values():
            fitted = _with(sheet, vm, recipe)
            if fitted and not _trouble(fitted, ground):
                sheet = fitted
                break
    return sheet


def _with(sheet: sheets.Sheet, vm: sheets.Vm, recipe: documents.Recipe) -> sheets.Sheet | None:
    guest = recipe.spec.guest
    given = (*guest.config, *guest.unlisted)
    lines = {line.key: line.value for line in given if not line.qemu}  # the plan judges those with a condition
    said = {key: value for key, value in vm.values.items() if sheet.has(vm.key(key))}
    fits = all(key in said and registry.field_for(key).same(value, said[key]) for key, value in lines.items())
    if not (lines or guest.hostpci) or not fits or dict(guest.hostpci) != dict(vm.options):
        return None
    rest = {key: value for key, value in vm.values.items() if key not in lines}
    new = dataclasses.replace(vm, values=rest, options={}, recipe=recipe.metadata.name)
    return dataclasses.replace(sheet, vms=tuple(new if one == vm else one for one in sheet.vms))
