"""What was found, in a line for people.

>>> said(found, beside="the training data")      # doctest: +SKIP
'shares nothing long with the training data: no passage of 20 notes'
"""

from __future__ import annotations

from partimento.corpus.duplicates.copies import FEWEST, Copy
from partimento.library.originality.judge import Originality, Shared


def said(found: Originality, *, beside: str) -> str:
    """One line: whether a passage is flagged, which is the longest, where it stands, and what chance says of it."""
    longest, quotation = found.longest, found.quotation
    if longest is None:
        text = f"shares nothing long with {beside}: no passage of {FEWEST} notes"
    elif longest.flagged:
        text = f"COPIES from {beside}: {passage(longest)}{_chance(longest, found)}"
    elif longest.long:
        text = f"plays what several files of {beside} have: {passage(longest)}{_chance(longest, found)}"
    else:
        text = f"no copy from {beside}: the longest passage is {passage(longest)}{_chance(longest, found)}"
    if quotation is not None and quotation.copy.query_ms[0] < 1000 * found.prompt_seconds:
        text += f"; the prompt is from {quotation.copy.name}, and {found.quoted_seconds:.1f} s behind it are so too"
    elif quotation is not None:
        text += (
            f"; what the prompt has returns from {clock(quotation.copy.query_ms[0])} on, as in {quotation.copy.name}"
        )
    if not found.at_hand:
        text += "; not all sources could be read, so that short copies may be missed"
    return text


def passage(shared: Shared) -> str:
    """Where a passage stands in the music and in its source, and how they differ."""
    copy = shared.copy
    return (
        f"{shared.notes} notes from {span(copy.query_ms)} ({copy.seconds:.1f} s, {shared.share:.0%} of the notes), "
        f"in {copy.name} from {span(copy.file_ms)}{changed(copy)}"
    )


def changed(copy: Copy) -> str:
    """How the music differs from its source: ", 3 semitones higher, 1.12 times as fast", or nothing."""
    up = copy.transposition
    key = f", {abs(up)} semitone{'s' * (abs(up) > 1)} {'higher' if up > 0 else 'lower'}" if up else ""
    return key + (f", {copy.tempo:.2f} times as fast" if abs(copy.tempo - 1) >= 0.005 else "")


def clock(ms: int) -> str:
    """Minutes and seconds: 83,000 ms is 1:23."""
    return f"{ms // 60_000}:{ms // 1000 % 60:02}"


def span(ms: tuple[int, int]) -> str:
    """From when to when."""
    return f"{clock(ms[0])} to {clock(ms[1])}"


def _chance(shared: Shared, found: Originality) -> str:
    if shared.p is None:
        return ""
    others = round(shared.p * (1 + found.windows)) - 1
    windows = f"{found.windows:,} human stretches of {found.window_seconds} s"
    return f"; {others or 'none'} of {windows} have as much of another work (p = {shared.p:.4f})"
