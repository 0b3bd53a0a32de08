"""What holds for all tests."""

import sys

import pytest
from hypothesis import settings

settings.register_profile("partimento", deadline=None)  # no test asserts a time
settings.load_profile("partimento")


def pytest_collection_modifyitems(items):
    """Leave out, and say so, what a system has not (the marks are explained in pyproject.toml)."""
    missing = {"posix": sys.platform == "win32", "linux": sys.platform != "linux"}
    for item in items:
        for mark in filter(missing.get, missing):
            if item.get_closest_marker(mark) is not None:
                item.add_marker(pytest.mark.skip(reason=f"needs {mark}"))


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory):
    """Prepared models go into a folder of this run, not into the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PARTIMENTO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
