"""Whether music is a copy: of which work, of how much of it, and how often people share as much by chance."""

from partimento.library.originality.judge import Originality, Shared, originality

__all__ = ["Originality", "Shared", "originality"]
