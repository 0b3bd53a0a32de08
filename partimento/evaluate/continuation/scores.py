"""How a model goes on beside how pianists do: descriptors of windows, scores from 0 to 1 and beyond, and intervals.

Knows: what is measured of a window, how a window moves away from its prompt, and when two sets of such moves are alike.
Refuses to know models and files.

    for one in measured(prompts, continued, span, seed=0):
        for finding in findings(one):
            finding.descriptor, finding.window, finding.medians[MODEL], finding.score

Distance from the prompt is the size of the difference between a window and its prompt (of logarithms where ratios
matter); or, of pitch classes and key, what of the agreement with the prompt is lost (agreement: cosine; correlation
with the profile of the prompt's key). Pianists leave their prompts too, so, with means over prompts and windows,

    score = (distance of unrelated music - distance of the model's) / (distance of unrelated music - of the pianists')

At 1 the model stays as near to its prompts as the pianists do, at 0 it is as far off as unrelated music. Above 1 it
clings to its prompts more than pianists do, which is no better; below 0 it is further off than other music; nothing is
cut off at either end. There is no score where unrelated music is not surely further off than the pianists' own.

Shape legend: n prompts, W windows, K pieces that each prompt is compared with, R resamples with the whole sample first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from partimento.evaluate.continuation.prompts import Prompt, Span, others
from partimento.evaluate.continuation.run import Continued
from partimento.evaluate.metrics import Estimate, interval, resampled
from partimento.midi.descriptors import Stretch
from partimento.midi.performance import Performance

Floats = NDArray[np.float64]
Window = tuple[float, float]

UNKNOWN: Final[Estimate] = (float("nan"), (float("nan"), float("nan")))
"""Where there is no value."""

MODEL: Final = "model"
PIANISTS: Final = "pianists"
UNRELATED: Final = "unrelated"
PROMPT: Final = "prompt kept"
SOURCES: Final = (MODEL, PIANISTS, UNRELATED, PROMPT)
"""What may follow a prompt: what the model makes, what its pianist played, what others played, no change at all."""
CIRCLES: Final = 8
"""Each prompt is compared with so many other pieces, if there are as many."""
CURVE_WINDOWS: Final = 3
"""Windows of a curve in a prompt's length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """A number of a window, given its prompt; how distances are taken, and the decimals that are worth showing.

    `softened` is added before the logarithm is taken; None: differences count. Of an `agreement`, what is lacking to 1.
    """

    name: str
    value: Callable[[Stretch, Stretch], float]
    softened: float | None = None
    agreement: bool = False
    digits: int = 2

    def scaled(self, values: Floats) -> Floats:
        """Values such that differences count."""
        return values if self.softened is None else np.log(values + self.softened)

    def distances(self, values_KnW: Floats, prompt_n: Floats) -> Floats:
        """How far windows [K, n, W] are from their prompts [n]."""
        return 1 - values_KnW if self.agreement else np.abs(self.scaled(values_KnW) - self.scaled(prompt_n[:, None]))


NOTES: Final = Descriptor(name="notes/s", value=lambda window, _: window.density, softened=0.2, digits=1)
PITCH_CLASSES: Final = Descriptor(
    name="pitch classes",
    value=lambda window, prompt: float(window.pitch_classes @ prompt.pitch_classes),
    agreement=True,
)
DESCRIPTORS: Final = (
    NOTES,
    Descriptor(name="duration, s", value=lambda window, _: window.median_duration, softened=0.0),
    Descriptor(name="polyphony", value=lambda window, _: window.polyphony, softened=0.2),
    Descriptor(name="silence", value=lambda window, _: window.silence),
    Descriptor(name="velocity", value=lambda window, _: window.mean_velocity, digits=0),
    Descriptor(name="pulse", value=lambda window, _: window.pulse),
    Descriptor(name="repetition", value=lambda window, _: window.repetition),
    Descriptor(name="most in 50 ms", value=lambda window, _: window.densest, softened=1.0, digits=1),
    PITCH_CLASSES,
    Descriptor(name="key", value=lambda window, prompt: float(window.key_fits[prompt.key]), agreement=True),
)
CURVES: Final = (PITCH_CLASSES, NOTES)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """One descriptor of every window [K, n, W] of each source (K is 1 but for unrelated music), and of the prompts."""

    descriptor: Descriptor
    windows: tuple[Window, ...]
    of: Mapping[str, Floats]
    prompt_n: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A descriptor in a window (`whole`: the mean over the windows), for each source, with 95 % intervals.

    Medians over prompts; mean distances from the prompts; scores of the model and of no change, unknown where unrelated
    music is not surely further off than the pianists' own; mean differences (of logarithms where ratios matter) from
    the prompts, `moves`, and from the same prompt's pianist, the model's `difference`.
    """

    descriptor: Descriptor
    window: Window
    whole: bool
    medians: Mapping[str, Estimate]
    distances: Mapping[str, Estimate]
    scores: Mapping[str, Estimate]
    moves: Mapping[str, Estimate]
    difference: Estimate


def measured(
    prompts: Sequence[Prompt], continued: Sequence[Continued], span: Span, *, seed: int, curves: bool = False
) -> list[Measured]:
    """Each descriptor in windows as long as the prompts; or, for `curves`, those of a curve in shorter ones.

    `seed` says which other pieces each prompt is compared with: that of the run.
    """
    step = span.prompt / CURVE_WINDOWS if curves else span.prompt
    windows = tuple((start, start + step) for start in np.arange(span.prompt, span.end - step / 2, step).tolist())
    heard = [Stretch.of(prompt.music, 0, span.prompt) for prompt in prompts]
    made = [_cut(one.music, windows) for one in continued]
    played = [_cut(prompt.music, windows) for prompt in prompts]
    circles = [others(len(prompts), seed=seed, step=k + 1) for k in range(min(CIRCLES, len(prompts) - 1))]

    def values(descriptor: Descriptor, cuts: Sequence[Sequence[Stretch]]) -> Floats:
        pairs = zip(cuts, heard, strict=True)
        return np.array([[descriptor.value(window, prompt) for window in cut] for cut, prompt in pairs], np.float64)

    found = []
    for descriptor in CURVES if curves else DESCRIPTORS:
        prompt_n = np.array([descriptor.value(prompt, prompt) for prompt in heard], np.float64)
        played_nW = values(descriptor, played)
        unrelated = (  # what is not about the prompt has been measured already
            values(descriptor, [played[i] for i in other_n]) if descriptor.agreement else played_nW[other_n]
            for other_n in circles
        )
        of = {
            MODEL: values(descriptor, made)[None],
            PIANISTS: played_nW[None],
            UNRELATED: np.stack(list(unrelated)),
            PROMPT: np.repeat(prompt_n[None, :, None], len(windows), axis=2),
        }
        found.append(Measured(descriptor=descriptor, windows=windows, of=of, prompt_n=prompt_n))
    return found


def _cut(music: Performance, windows: Sequence[Window]) -> list[Stretch]:
    return [Stretch.of(music, *window) for window in windows]


def findings(one: Measured, *, seed: int = 0) -> list[Finding]:
    """What is found of a descriptor: over all windows, then in each. `seed` is of the resamples of the prompts.

    A window without a note has neither durations nor velocities; it is left out of those alone.
    """
    weight_Rn = _weights(len(one.prompt_n), seed)
    distance_KnW = {source: one.descriptor.distances(values, one.prompt_n) for source, values in one.of.items()}
    scaled_KnW = {source: one.descriptor.scaled(values) for source, values in one.of.items()}
    move_KnW = {source: values - scaled_KnW[PROMPT] for source, values in scaled_KnW.items()}
    difference_1nW = scaled_KnW[MODEL] - scaled_KnW[PIANISTS]
    found: list[Finding] = []
    for chosen in (slice(0, len(one.windows)), *(slice(w, w + 1) for w in range(len(one.windows)))):
        mean_R = {source: _means(_of_prompts(each[:, :, chosen]), weight_Rn) for source, each in distance_KnW.items()}
        found.append(
            Finding(
                descriptor=one.descriptor,
                window=(one.windows[chosen][0][0], one.windows[chosen][-1][1]),
                whole=not found,
                medians={s: median(_of_prompts(each[:, :, chosen]), seed=seed) for s, each in one.of.items()},
                distances={source: _estimate(each) for source, each in mean_R.items()},
                scores={s: _score(mean_R[s], mean_R[PIANISTS], mean_R[UNRELATED]) for s in (MODEL, PROMPT)},
                moves={s: _estimate(_means(_of_prompts(m[:, :, chosen]), weight_Rn)) for s, m in move_KnW.items()},
                difference=_estimate(_means(_of_prompts(difference_1nW[:, :, chosen]), weight_Rn)),
            )
        )
    return found


def _score(distance_R: Floats, pianists_R: Floats, unrelated_R: Floats) -> Estimate:
    room_R = unrelated_R - pianists_R
    if not (room_R[0] > 0 and interval(room_R[1:])[0] > 0):
        return UNKNOWN
    kept_R = room_R > 0
    return _estimate((unrelated_R - distance_R)[kept_R] / room_R[kept_R])


def _estimate(values_R: Floats) -> Estimate:
    return float(values_R[0]), interval(values_R[1:])


def median(values_n: Floats, *, seed: int = 0) -> Estimate:
    """The median of what is not NaN, and its interval; unknown where nothing is."""
    kept_n = np.isfinite(values_n)
    if not kept_n.any():
        return UNKNOWN
    weight_Rn = _weights(len(values_n), seed)[:, kept_n]
    order_n = np.argsort(values_n[kept_n])
    sorted_n, upto_Rn = values_n[kept_n][order_n], np.cumsum(weight_Rn[:, order_n], axis=1)
    upto_Rn = upto_Rn[upto_Rn[:, -1] > 0]
    middle_R2 = np.stack([np.ceil(upto_Rn[:, -1] / 2), np.floor(upto_Rn[:, -1] / 2) + 1], axis=1)
    at_R2 = (upto_Rn[:, :, None] < middle_R2[:, None, :]).sum(axis=1)
    return _estimate(sorted_n[at_R2].mean(axis=1))


def nats_a_note(continued: Sequence[Continued], *, seed: int = 0, unrelated: bool = False) -> Estimate:
    """Nats a note of what the pianists played, behind their prompts or `unrelated` ones; unknown if untold."""
    told = [one.nats_unrelated if unrelated else one.nats for one in continued]
    if None in told:
        return UNKNOWN
    nats_n = np.array(told, np.float64)
    notes_n = np.array([one.notes for one in continued], np.float64)
    weight_Rn = _weights(len(continued), seed)
    return _estimate((weight_Rn @ nats_n) / (weight_Rn @ notes_n))


def _weights(prompts: int, seed: int) -> Floats:
    return np.concatenate([np.ones((1, prompts)), resampled(np.arange(prompts), seed)])


def _of_prompts(values_KnW: Floats) -> Floats:
    """The mean of each prompt [n] over what is not NaN; NaN where nothing is."""
    known_KnW = np.isfinite(values_KnW)
    total_n, count_n = np.where(known_KnW, values_KnW, 0.0).sum(axis=(0, 2)), known_KnW.sum(axis=(0, 2))
    return np.divide(total_n, count_n, out=np.full(len(total_n), np.nan), where=count_n > 0)


def _means(values_n: Floats, weight_Rn: Floats) -> Floats:
    """Weighted means [R] over what is not NaN; NaN where nothing is."""
    known_n = np.isfinite(values_n)
    total_R, count_R = weight_Rn @ np.where(known_n, values_n, 0.0), weight_Rn @ known_n
    return np.divide(total_R, count_R, out=np.full(len(total_R), np.nan), where=count_R > 0)
