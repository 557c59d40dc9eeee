"""A mistake in Transom itself, turned into an error like the others: what was under way ends in a state that says so."""

from __future__ import annotations

import contextlib
import logging
import pathlib
import traceback
from collections.abc import Iterator

from transom import errors

log = logging.getLogger(__name__)


@contextlib.contextmanager
def told(where: str) -> Iterator[None]:
    """What is no TransomError becomes a Defect, which names the place in the code and not the values; those go to the log."""
    try:
        yield
    except errors.TransomError:
        raise
    except Exception as error:
        log.exception("%s: a mistake in Transom", where)
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{pathlib.PurePath(last.filename).name}:{last.lineno}"
        raise errors.Defect(
            f"{where}: a mistake in Transom: {type(error).__name__} at {place}", hint="its log tells more"
        ) from error
