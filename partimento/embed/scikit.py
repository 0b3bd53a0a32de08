"""What scikit-learn asks of a transformer, for encoders in its pipelines.

An encoder has learned before: fitting changes nothing, and a clone shares the weights. It knows scikit-learn's names,
and loads it only where scikit-learn itself asks; it refuses to know how vectors come about (`encoder.py`).

    classifier = make_pipeline(Encoder.load("bundled-embedding"), StandardScaler(), LogisticRegression())
    classifier.fit(["a.mid", "b.mid", "c.mid"], ["bach", "liszt", "bach"])
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from partimento.embed.slicing import Slicing
from partimento.errors import UserError
from partimento.midi.performance import Performance

if TYPE_CHECKING:
    from sklearn.utils import Tags


class SklearnTransformer:
    """Performances or MIDI files -> a matrix of vectors. `slicing` is its one parameter, for a search over such."""

    size: int
    slicing: Slicing

    @abstractmethod
    def encode(self, items: Sequence[Any]) -> NDArray[np.float32]:
        """float32 [n, size], a row for each item."""

    def fit(self, items: Sequence[Any], y: object = None) -> Self:  # noqa: ARG002 (scikit-learn gives both)
        """Does nothing: the weights are trained."""
        return self

    def transform(self, items: Sequence[Any]) -> NDArray[np.float32]:
        """float32 [n, size], a row for each performance or path of a list, one-dimensional array or column of a table.

        Raises `UserError` as `encode` does, and for a single path or a table.
        """
        one = isinstance(items, str | PathLike | Performance)
        if one or getattr(items, "ndim", 1) != 1:
            what = repr(items) if one else f"an array of shape {getattr(items, 'shape', ())}"
            raise UserError(f"transform takes a list of performances or paths, or one column of a table; not {what}")
        return self.encode(list(items))

    def fit_transform(self, items: Sequence[Any], y: object = None) -> NDArray[np.float32]:  # noqa: ARG002
        """`transform`."""
        return self.transform(items)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:  # noqa: ARG002
        """Names of the columns, encoder0 and so on: object [size]."""
        return np.array([f"encoder{number}" for number in range(self.size)], object)

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002
        """What `set_params` takes."""
        return {"slicing": self.slicing}

    def set_params(self, **params: Any) -> Self:
        """Sets `slicing`; raises ValueError for any other name, as scikit-learn's own do."""
        if foreign := sorted(set(params) - {"slicing"}):
            raise ValueError(f"an encoder has the parameter 'slicing', not {', '.join(map(repr, foreign))}")
        self.slicing = params.get("slicing", self.slicing)
        return self

    def __sklearn_clone__(self) -> Self:
        return copy.copy(self)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Tags:
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type="transformer",
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=[]),
            requires_fit=False,
            input_tags=InputTags(one_d_array=True, two_d_array=False, string=True),
        )
