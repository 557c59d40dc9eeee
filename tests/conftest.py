"""What holds for every test: a property is not a timed test, and how long its examples take is the machine's business."""

from __future__ import annotations

import hypothesis

hypothesis.settings.register_profile("transom", deadline=None)
hypothesis.settings.load_profile("transom")
