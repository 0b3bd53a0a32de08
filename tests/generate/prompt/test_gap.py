import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partimento.errors import UserError
from partimento.generate.prompt.gap import Gap
from partimento.midi.columns import NS_PER_S
from partimento.midi.performance import Performance

times = st.integers(0, 400).map(lambda tenths: tenths / 10)


def down_at(performance: Performance, seconds: np.ndarray) -> np.ndarray:
    """Whether the pedal is down at these moments."""
    ns = seconds[:, None] * NS_PER_S
    return ((performance.pedal_down <= ns) & (ns < performance.pedal_up)).any(axis=1)


@given(st.lists(times, max_size=30), st.lists(times, max_size=12, unique=True), times, st.integers(1, 300))
def test_outside_nothing_changes_and_inside_nothing_begins(onsets, moves, start, tenths) -> None:
    even = len(moves) // 2 * 2
    pedal = list(zip(sorted(moves)[:even:2], sorted(moves)[1:even:2], strict=True))
    played = Performance.from_notes(
        pitch=60, velocity=[1 + i for i in range(len(onsets))], onset=onsets, duration=1.5, pedal=pedal
    )
    end = start + tenths / 10
    gap = Gap.open(played, start, end)
    outside = (played.onset < gap.start_ns) | (played.onset >= gap.end_ns)
    assert gap.kept.velocity.tolist() == played.velocity[outside].tolist()
    assert gap.kept.onset.tolist() == played.onset[outside].tolist()
    assert gap.kept.duration.tolist() == played.duration[outside].tolist()
    assert gap.before.merge(gap.after).velocity.tolist() == gap.kept.velocity.tolist()
    # Sampled between the tenths, so that no moment is an edge.
    moments = np.arange(0, 45, 0.1) + 0.05
    away = (moments < start) | (moments > end)
    assert down_at(gap.kept, moments)[away].tolist() == down_at(played, moments)[away].tolist()
    pressed_before = [down for down, up in pedal if down < start < up]
    within = ~away & (moments < max((up for down, up in pedal if down in pressed_before), default=0))
    assert down_at(gap.kept, moments)[~away].tolist() == within[~away].tolist()


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        (5, 5, "start < end"),
        (-1, 2, "start < end"),
        (0, float("nan"), "start < end"),
        (1, 1.05, "last"),
        (0, 61, "last"),
    ],
)
def test_what_is_no_gap_is_refused(start: float, end: float, said: str) -> None:
    with pytest.raises(UserError, match=said):
        Gap.open(Performance.from_notes(pitch=60, velocity=70, onset=0, duration=1), start, end)
