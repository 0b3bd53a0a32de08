"""Notes that still sound when a model is to answer: how long they will, as the model says.

A key that is down, or held by the pedal, has no length yet, and every token behind an unknown length would be a guess.
So each of them gets one in the order of onsets: drawn from what the model expects there, but never shorter than it has
lasted. Knows tokens and the start they belong to; refuses to know who plays, and what follows.

    start = engine.start(prompt, from_seconds=12.0)           # held notes last to the end of the prompt
    start = settled(engine, prefix_cache, start, held=[41, 43], chance=seeded(7, variation=0))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from partimento.generate.backends.language_model import LanguageModel
from partimento.generate.decode.rules import Rules
from partimento.generate.decode.sampling import draw
from partimento.generate.prompt.events import Event, spell
from partimento.generate.prompt.prefix_cache import PrefixCache
from partimento.generate.prompt.start import Start


def settled(
    model: LanguageModel,
    prefix_cache: PrefixCache,
    start: Start,
    *,
    held: Sequence[int],
    chance: np.random.Generator,
) -> Start:
    """The start in which the sounding notes `held` (positions among all notes, ascending) have lengths of the model's.

    What is read stays in the prefix cache. Notes beyond a context that the prompt overflows keep what they have.
    """
    v, rules = start.vocabulary, Rules(start, model.abilities.sampling)
    events = list(start.events)
    sounding = [at for at, event in enumerate(events) if start.sounds(event)]
    for at in (sounding[number] for number in held):
        event = events[at]
        if event.duration is None:
            continue
        bare = Event(head=event.head, ms=event.ms)
        tokens = spell(v, start.prefix, [*events[:at], bare], origin=0)
        if len(tokens) >= model.context:
            break
        _, logits_1V, _ = prefix_cache.read(tokens)
        state = start.grammar.run(tokens)
        lengths = ((event.duration, v.duration[1]),)
        p_V = rules.probabilities(logits_1V[0], state, lengths, start.banned_V, hot=False)
        events[at] = replace(event, duration=draw(p_V, chance))
    return replace(start, events=tuple(events))
