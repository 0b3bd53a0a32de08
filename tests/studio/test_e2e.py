"""What people do in the studio, done in Chromium, against a server with the bundled model.

Where no Chromium is found this says so and tests nothing; `.ci/run` installs one and sets PARTIMENTO_NEEDS_CHROMIUM.
"""

import os

import numpy as np
import pytest

from partimento import Engine, Performance
from partimento.corpus.overlap import index_of
from partimento.studio.build import build
from tests.embed.embedders import model_file
from tests.library.atlas.test_kept import collected
from tests.studio.node import CHROMIUM, EXAMPLES, run
from tests.studio.serving import served

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("PARTIMENTO_NEEDS_CHROMIUM"),
    reason="no Chromium on this machine: the page was not tried in a browser (Debian: apt-get install chromium)",
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files to drop: an example, and 5,000 notes."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "nocturne.mid").write_bytes((EXAMPLES / "nocturne.mid").read_bytes())
    n = 5000
    random = np.random.default_rng(0)
    many = Performance.from_notes(
        pitch=random.integers(30, 100, n),
        velocity=random.integers(20, 120, n),
        onset=np.arange(n) * 0.06,
        duration=random.uniform(0.05, 0.6, n),
    )
    many.write_midi(folder / "many.mid")
    return folder


@pytest.fixture(scope="module")
def engine():
    build()
    return Engine.load("bundled")


def vitest(address, files, *options, **environment):
    assert CHROMIUM is not None, "PARTIMENTO_NEEDS_CHROMIUM is set, and there is no Chromium"
    run(
        "vitest/vitest.mjs",
        "run",
        "--dir=test/e2e",
        "--maxWorkers=2",
        "--testTimeout=240000",
        "--expect.poll.timeout=60000",
        *options,
        PARTIMENTO_STUDIO=f"http://{address}/",
        PARTIMENTO_FILES=str(files),
        PARTIMENTO_CHROMIUM=CHROMIUM,
        **environment,
    )


def test_every_row(engine, files, tmp_path):
    """Takes are compared with an index in which they do not stand; the library has ten pieces, by a small model."""
    learned = index_of(str(EXAMPLES), tmp_path / "index", print)
    library = collected(tmp_path, model_file(tmp_path))
    with served(engine, learned=learned, library=library) as address:
        vitest(address, files, "rows")


def test_takes_outlive_the_server(engine, files, tmp_path):
    with served(engine) as address:
        vitest(address, files, "restart", "-t", "before", PARTIMENTO_PROFILE=str(tmp_path))
    with served(engine, port=int(address.rpartition(":")[2])) as again:
        assert again == address
        vitest(address, files, "restart", "-t", "after", PARTIMENTO_PROFILE=str(tmp_path))
