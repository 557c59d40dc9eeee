"""What every part of a document shares: unknown fields are refused, values never change."""

from __future__ import annotations

import pydantic


class Base(pydantic.BaseModel):
    """A part of a document. Numbers may stand where text is wanted, since ``cores: 6`` and ``cores: "6"`` mean the same."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, validate_by_name=False)
