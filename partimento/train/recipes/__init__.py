"""Complete configurations of training runs: a module for each kind of training, a function for each recipe.

Knows: every recipe by name. Refuses to know: what is done with it (`partimento.train.stages`).

    RECIPES["laptop"]().cost
"""

from collections.abc import Callable
from typing import Final

from partimento.train.recipes import classification, continuation, contrastive, pretraining
from partimento.train.settings import RunRecipe

RECIPES: Final[dict[str, Callable[[], RunRecipe]]] = {
    **pretraining.RECIPES,
    **continuation.RECIPES,
    **contrastive.RECIPES,
    **classification.RECIPES,
}
