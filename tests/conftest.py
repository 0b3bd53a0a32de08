"""What holds for all tests."""

import pytest
from hypothesis import settings

settings.register_profile("partimento", deadline=None)  # no test asserts a time
settings.load_profile("partimento")


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory):
    """Prepared models go into a folder of this run, not into the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PARTIMENTO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
