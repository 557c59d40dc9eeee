"""Every route there is, a module a topic."""

from __future__ import annotations

from transom.api import route
from transom.api.routes import control, documents, fleet, plans, roms, runs

ALL: tuple[route.Route, ...] = (
    *control.ROUTES,
    *documents.ROUTES,
    *fleet.ROUTES,
    *plans.ROUTES,
    *roms.ROUTES,
    *runs.ROUTES,
)
