"""What a wheel, and an installation in place, needs beyond the sources. Hatchling runs this.

Each thing that is made lies inside the package, is ignored by git, and is named under `artifacts` in pyproject.toml;
what is there already is not made again. A thing that cannot be made (no network, say) is no reason not to install the
rest: the build warns, and the command that needs it says how to get it.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Hook(BuildHookInterface):
    """Runs before the files of a wheel are collected."""

    def dependencies(self) -> list[str]:
        """What this build needs to be installed first."""
        return self._module("studio/build.py").requirements()

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Makes what is missing."""
        self._samples()
        self._page()

    def _samples(self) -> None:
        """The recordings of the piano, in partimento/audio/samples."""
        module = self._module("audio/fetch.py")
        try:
            module.fetch()
        except module.FetchError as error:
            self.app.display_warning(f"no piano sound: {error}; later: python -m partimento.audio.fetch")

    def _page(self) -> None:
        """The studio's page, in partimento/studio/page."""
        module = self._module("studio/build.py")
        if module.skipped():
            return
        try:
            module.build()
        except module.BuildError as error:
            self.app.display_warning(f"no page for the studio: {error}; later: {module.HOW}")

    def _module(self, name: str) -> ModuleType:
        """A file of the package, which itself cannot be imported yet."""
        path = Path(self.root) / "partimento" / name
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
