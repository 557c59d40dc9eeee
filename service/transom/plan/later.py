"""What is told of a plan that changes what boots and does not reboot for it: of that boot nobody sees to anything. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from transom import model
from transom.host import kernel_args
from transom.plan import actions as acts
from transom.plan import forecast


def note(
    actions: Sequence[acts.Action], facts: model.Facts, seen: forecast.Forecast | None, wanted: Collection[str] = ()
) -> Iterator[model.Finding]:
    """``seen``: what the next boot will be; ``wanted``: kernel parameters that documents want. Nothing for a node that waits armed:
    it goes back from that boot unless somebody confirms it."""
    changed = [evidence for action in actions if (evidence := _read_at_boot(action))]
    if not changed or any(isinstance(action, acts.Reboot) for action in actions):
        return
    if isinstance(facts.keeping, model.Keeping) and facts.keeping.armed:
        return
    untried = [
        model.Evidence("the next boot's kernel command line", f"{token}, which the running kernel was not given")
        for token in (seen.new if seen else ())
        if not any(kernel_args.same(token, one) for one in wanted)
    ]
    yield model.Finding(
        id="later-boot",
        subject="the next boot",
        summary="what this plan changes is read at the next boot, whenever that comes. This plan does not reboot: for that boot it "
        "keeps no copies, the node does not go back from it by itself, and nobody confirms it",
        remedy="Reboot the node when somebody can reach its console, and look at it then; until then `transom undo RUN` takes the "
        "change back.",
        who=model.Who.REPORT,
        evidence=(*changed, *untried),
    )


def _read_at_boot(action: acts.Action) -> model.Evidence | None:
    match action:
        case acts.WriteFile() | acts.RemoveFile() | acts.RestoreFile() if action.reboot:
            return model.Evidence(action.path, "is read at boot")
        case acts.RunStep() if action.step in forecast.BUILT:
            return model.Evidence(action.step.value, f"is built anew: {action.reason}")
        case _:
            return None
