"""The host's files as they would be after what has been planned so far."""

from __future__ import annotations

import dataclasses

from transom import model


@dataclasses.dataclass
class Texts:
    """What was observed, and the planned texts over it."""

    facts: model.Facts
    now: dict[str, str] = dataclasses.field(default_factory=dict)

    def get(self, path: str) -> str | model.Unknown:
        """The text; ``""`` for a file that is not there."""
        if path in self.now:
            return self.now[path]
        file = self.facts.file(path)
        if isinstance(file, model.Unknown):
            return file
        return "" if isinstance(file, model.Absent) else file.text

    def view(self) -> model.Facts:
        """The facts with the planned texts in place, for judging what a file will say."""
        files = dict(self.facts.files)
        for path, text in self.now.items():
            old = files.get(path)
            base = old if isinstance(old, model.HostFile) else model.HostFile(path=path, text="", sha256="")
            files[path] = dataclasses.replace(base, text=text) if text else model.Absent()
        return dataclasses.replace(self.facts, files=files)
