"""The page's own tests (TypeScript), beside what the Python package makes of the same music."""

import gzip
import json

import numpy as np
import pytest
import soundfile

from partimento import Performance
from partimento.audio.fetch import FOLDER, ROOTS
from partimento.audio.samples import root_of
from partimento.studio import music
from partimento.studio.build import PAGE, build
from tests.studio.node import EXAMPLES, run


def performances():
    """Pieces with what a sampler has to know: pedals, keys struck again, all registers and touches."""
    pieces = {"invention": Performance.from_midi(EXAMPLES / "invention.mid").slice_time(0, 6)}
    pieces["nocturne"] = Performance.from_midi(EXAMPLES / "nocturne.mid").slice_time(4, 10)
    random = np.random.default_rng(5)
    n = 60
    pieces["anything"] = Performance.from_notes(
        pitch=random.integers(21, 109, n) // 4 * 4 + 1,
        velocity=random.integers(1, 128, n),
        onset=np.sort(random.uniform(0, 6, n)),
        duration=random.uniform(0.02, 2.0, n),
        pedal=[(0.5, 1.7), (1.8, 3.1), (4.0, 5.5)],
    )
    return pieces


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vectors")
    roots = set()
    for name, composed in performances().items():
        composed.write_midi(folder / f"{name}.mid")
        performance = Performance.from_midi(folder / f"{name}.mid")
        (folder / f"{name}.json").write_text(json.dumps(music.columns(performance)))
        performance.render().T.astype("<f4").tofile(folder / f"{name}.f32")
        roots.update(map(root_of, performance.pitch.tolist()))
    for file, root in ROOTS.items():
        if root in roots:
            waves, _ = soundfile.read(FOLDER / file, dtype="float32", always_2d=True)
            waves.T.astype("<f4").tofile(folder / f"recording-{root}.f32")
    return folder


def test_the_page_s_own_tests(vectors):
    run(
        "vitest/vitest.mjs",
        "run",
        "--dir=test/unit",
        "--reporter=dot",
        "--testTimeout=60000",
        PARTIMENTO_VECTORS=str(vectors),
    )


def test_the_types_of_the_page_are_right():
    run("typescript/bin/tsc", "--noEmit")


def test_the_page_is_light():
    build()
    packed = [gzip.compress(path.read_bytes()) for path in PAGE.rglob("*") if path.is_file()]
    assert sum(map(len, packed)) < 150_000


def test_a_page_of_the_same_sources_is_not_built_again():
    build()
    assert not build()
