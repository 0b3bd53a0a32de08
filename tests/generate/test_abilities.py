from pathlib import Path

import pytest

from partimento.errors import UserError
from partimento.generate.abilities import Abilities
from partimento.generate.decode.sampling import Sampling
from partimento.generate.engine import Engine
from partimento.generate.settings import Settings
from partimento.model.checkpoint import save
from tests.generate.generate_music import prompt, random_engine


def test_a_file_that_says_nothing_gets_the_published_sampling_and_no_abilities() -> None:
    abilities = Abilities.from_metadata({"steps": 7}, parameters=650_000_000)
    assert abilities == Abilities(infilling=False, pedal_tokens=False, sampling=Sampling())
    assert (abilities.sampling.temperature, abilities.sampling.min_p) == (0.98, 0.035)


def test_what_a_file_names_is_used_unless_the_caller_says_otherwise(tmp_path: Path) -> None:
    random, can = random_engine(), {"infilling": True, "pedal_tokens": True}
    path = tmp_path / "model.safetensors"
    save(path, random.backend.model, random.vocabulary, sampling={"min_p": 0.01}, candidates=2, **can)
    engine = Engine.load(path)
    stated = Sampling(temperature=1.0, min_p=0.01, cut_times=False)  # the rest is that of small models
    assert engine.abilities == Abilities(infilling=True, pedal_tokens=True, sampling=stated, candidates=2)
    (own,) = engine.continue_(prompt(), settings=Settings(notes=12))
    (same,) = engine.continue_(prompt(), settings=Settings(notes=12, sampling=stated, candidates=2))
    (other,) = engine.continue_(prompt(), settings=Settings(notes=12, sampling=Sampling(min_p=1.0)))
    assert own.tokens == same.tokens != other.tokens


@pytest.mark.parametrize("sampling", [{"heat": 1.0}, 0.5, {"min_p": 7}, {"min_p": "low"}, {"top_p": None}])
def test_a_sampling_that_cannot_be_is_refused(sampling: object) -> None:
    with pytest.raises(UserError):
        Abilities.from_metadata({"sampling": sampling}, parameters=1)
