"""The map: vectors of files -> places in the plane (t-SNE), and new files placed on a map that exists.

Knows which settings decide the places, how a map is computed, kept and read again, and how a new vector finds its place
among those of the map. Refuses to know: what the files are, and where vectors come from.

    atlas = draw_map(vectors, names)                     # Atlas: a place for every name, and who is near by the vectors
    atlas.write("atlas.parquet")
    atlas.place(vectors, new)                            # float64 [m, 2]; the others stay where they are
    atlas.add(vectors, ["new.mid"], new)                 # the map with one more

The distance is that of the angle between vectors. Everything is computed on one thread, so that one machine gives the
same places every time. t-SNE is van der Maaten and Hinton's (2008) as openTSNE computes it; placing is that of Poličar,
Stražar and Zupan (2021). The paper's figure 1 is such a map.

Shape legend: n files of the map, m new ones, k neighbours, E numbers of a vector.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from partimento.embed.vectors import nearest, unit
from partimento.errors import UserError
from partimento.files import replacing

Floats = NDArray[np.floating]
Initialisation = Literal["pca", "random"]

FEWEST_FILES: Final = 5
"""Of fewer there is no map: nothing is near anything."""
_ABOUT: Final = b"partimento.atlas"
_VERSION: Final = 1
_SCHEMA: Final = pa.schema(
    [("name", pa.string()), ("x", pa.float64()), ("y", pa.float64()), ("near", pa.list_(pa.int32()))]
)
NEIGHBOURS: Final = 8
"""Of each file so many of the nearest are kept, by the vectors and not by the map."""
_SPREAD: Final = 1e-4
"""Deviation of the first places: small, so that forces and not the beginning decide."""
_JITTER: Final = 0.01
"""Of it, so that equal files do not stand in one point, where no force acts between them."""
_TOLD: Final = 25
"""Steps after which who waits for a map is told how far it is."""
_BARNES_HUT_UP_TO: Final = 10_000
"""Files of a map; for more, openTSNE's interpolation is faster."""
_PLACING_PERPLEXITY: Final = 5
_PLACING_NEIGHBOURS: Final = 25
_PLACING: Final = {
    "n_iter": 250,
    "learning_rate": 0.1,
    "momentum": 0.8,
    "exaggeration": 1.5,
    "max_grad_norm": 0.25,
    "n_jobs": 1,
}
"""What openTSNE recommends for new points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapSettings:
    """What decides the places."""

    perplexity: float = 30.0
    """How many neighbours a file has in the eyes of t-SNE; a map of few files has fewer."""
    initialisation: Initialisation = "pca"
    """Where files stand at first: by the two principal components of the vectors, or at random."""
    seed: int = 0
    """Of what is drawn at random."""
    exaggerated: int = 250
    """Steps in which neighbours attract each other twelve times as much."""
    steps: int = 500
    """Steps after these."""

    def __post_init__(self) -> None:
        if not self.perplexity >= 1:
            raise UserError(f"perplexity is {self.perplexity:g}; give at least 1 (30 is usual)")
        if self.initialisation not in ("pca", "random"):
            raise UserError(f"initialisation is {self.initialisation!r}; give pca or random")
        if not 0 <= self.seed < 2**32:
            raise UserError(f"seed is {self.seed}; give a number from 0 to 4294967295")
        if self.exaggerated < 0 or self.steps < 0:
            raise UserError(f"exaggerated and steps are {self.exaggerated} and {self.steps}; give no negative numbers")

    def of(self, files: int) -> float:
        """The perplexity of a map of so many files: t-SNE looks at three neighbours for each unit of it."""
        return min(self.perplexity, (files - 1) / 3)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Atlas:
    """A map: the `names` of n files, their places `xy` [n, 2], and the files `near` each by the vectors, int32 [n, k].

    The first `drawn` of them decided the places; the others were placed among them. `settings` say how it came about;
    `divergence` is what t-SNE makes small, in nats, when the map was drawn.
    """

    names: Sequence[str]
    xy: NDArray[np.float64]
    near: NDArray[np.int32]
    drawn: int
    settings: MapSettings
    divergence: float

    def __post_init__(self) -> None:
        if self.xy.shape != (len(self.names), 2) or len(self.near) != len(self.names):
            raise ValueError(f"{len(self.names)} names, but places {self.xy.shape} and neighbours {self.near.shape}")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def about(self) -> str:
        """How the map came about, in one line."""
        of, placed = self.settings, len(self) - self.drawn
        return (
            f"t-SNE of {self.drawn:,} files (openTSNE): perplexity {of.of(self.drawn):g}, initialisation "
            f"{of.initialisation}, seed {of.seed}, {of.exaggerated} + {of.steps} steps, cosine distance"
            + (f"; {placed:,} placed on it" if placed else "")
        )

    def place(self, vectors_nE: Floats, new_mE: Floats) -> NDArray[np.float64]:
        """Places [m, 2] of new vectors among the drawn files; `vectors_nE` are the map's, in the order of `names`.

        Nothing moves, and each new file is placed as if the other new ones were not there.
        """
        if len(vectors_nE) != len(self):
            raise ValueError(f"{len(vectors_nE)} vectors for a map of {len(self)} files: give one for each")
        if not len(new_mE):
            return np.empty((0, 2))
        from openTSNE import PartialTSNEEmbedding, TSNEEmbedding
        from openTSNE.affinity import PrecomputedAffinities, joint_probabilities_nn
        from scipy.sparse import csr_matrix

        neighbours = min(self.drawn, _PLACING_NEIGHBOURS)
        index_mk, distance_mk = nearest(unit(vectors_nE[: self.drawn]), unit(new_mE), neighbours)
        affinities = joint_probabilities_nn(
            index_mk,
            distance_mk,
            [min(_PLACING_PERPLEXITY, neighbours / 3)],
            symmetrize=False,
            normalization="point-wise",
            n_reference_samples=self.drawn,
        )
        xy_n2 = self.xy[: self.drawn]
        # The interpolation moves a map whose box is not centred, but not what is placed on it.
        middle_2 = (xy_n2.min(axis=0) + xy_n2.max(axis=0)) / 2
        # What pulls the map's own files is not asked for, since they do not move.
        nothing = PrecomputedAffinities(csr_matrix((self.drawn, self.drawn)), normalize=False)
        among = TSNEEmbedding(xy_n2 - middle_2, nothing)
        placed = PartialTSNEEmbedding(np.median(xy_n2[index_mk], axis=1) - middle_2, among, affinities)
        return np.asarray(placed.optimize(**_PLACING, negative_gradient_method=_method(self.drawn))) + middle_2

    def add(self, vectors_nE: Floats, names: Sequence[str], new_mE: Floats) -> Atlas:
        """This map with new files placed on it; arguments as of `place`."""
        xy_m2 = self.place(vectors_nE, new_mE)
        near_mk, _ = nearest(unit(vectors_nE), unit(new_mE), self.near.shape[1])
        return replace(
            self,
            names=[*self.names, *names],
            xy=np.concatenate([self.xy, xy_m2]),
            near=np.concatenate([self.near, near_mk.astype(np.int32)]),
        )

    def write(self, path: str | os.PathLike[str]) -> None:
        """Keep the map as a Parquet table: name, x, y, near; its settings are in the table's metadata."""
        about = {
            "version": _VERSION,
            "settings": asdict(self.settings),
            "divergence": self.divergence,
            "drawn": self.drawn,
        }
        columns = {"name": list(self.names), "x": self.xy[:, 0], "y": self.xy[:, 1], "near": list(self.near)}
        table = pa.table(columns, _SCHEMA.with_metadata({_ABOUT: json.dumps(about).encode()}))
        with replacing(path) as part:
            pq.write_table(table, part, compression="zstd")

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Atlas:
        """The map that `write` kept; raises `UserError` for anything else."""
        path = Path(path)
        try:
            table = pq.read_table(path)
            about = json.loads((table.schema.metadata or {})[_ABOUT])
            if about["version"] != _VERSION or table.schema.remove_metadata() != _SCHEMA:
                raise UserError(f"{path}: a map of another version; draw it again")
            settings, divergence = MapSettings(**about["settings"]), float(about["divergence"])
            near = np.array(table["near"].to_pylist(), np.int32).reshape(len(table), -1)
            drawn = int(about["drawn"])
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            raise UserError(f"{path}: not a map ({str(error).splitlines()[0]}); draw it again") from error
        xy = np.stack([table["x"].to_numpy(), table["y"].to_numpy()], axis=1)
        names = table["name"].to_pylist()
        return cls(names=names, xy=xy, near=near, drawn=drawn, settings=settings, divergence=divergence)


def draw_map(
    vectors_nE: Floats,
    names: Sequence[str],
    settings: MapSettings | None = None,
    *,
    progress: Callable[[float], None] | None = None,
) -> Atlas:
    """A new map of the vectors of n files. Raises `UserError` for fewer than `FEWEST_FILES` or vectors not finite.

    `progress` is told every `_TOLD` steps how much of it is done, from 0 to 1; the map is the same without it.
    """
    settings = settings or MapSettings()
    if len(names) != len(vectors_nE):
        raise ValueError(f"{len(names)} names for {len(vectors_nE)} vectors: give one for each")
    if len(names) < FEWEST_FILES:
        raise UserError(f"a map of {len(names)} files says nothing; it needs at least {FEWEST_FILES}")
    if not np.isfinite(vectors_nE).all():
        row = int(np.flatnonzero(~np.isfinite(vectors_nE).all(axis=1))[0])
        raise UserError(f"{names[row]}: its vector is not finite; embed it again")
    from openTSNE import TSNE
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    vectors_nE = unit(vectors_nE)
    perplexity = settings.of(len(names))
    index_nk, distance_nk = nearest(
        vectors_nE, vectors_nE, min(len(names) - 1, max(NEIGHBOURS, int(3 * perplexity))), itself=False
    )
    affinities = PerplexityBasedNN(
        perplexity=perplexity, knn_index=PrecomputedNeighbors(index_nk, distance_nk), n_jobs=1
    )
    drawn = TSNE(
        early_exaggeration_iter=settings.exaggerated,
        n_iter=settings.steps,
        negative_gradient_method=_method(len(names)),
        n_jobs=1,
        random_state=settings.seed,
        callbacks=progress and _telling(progress, settings.exaggerated + settings.steps),
        callbacks_every_iters=_TOLD,
    ).fit(affinities=affinities, initialization=_beginning(vectors_nE, settings))
    xy = np.asarray(drawn, np.float64)
    return Atlas(
        names=names,
        xy=xy - xy.mean(axis=0),
        near=index_nk[:, :NEIGHBOURS].astype(np.int32),
        drawn=len(names),
        settings=settings,
        divergence=float(drawn.kl_divergence),
    )


def _telling(progress: Callable[[float], None], steps: int) -> Callable[[int, float, Floats], None]:
    """`progress` as openTSNE calls it, which counts the steps of each of its two parts from the beginning."""
    done = count(_TOLD, _TOLD)

    def told(_step: int, _error: float, _xy_n2: Floats) -> None:
        progress(min(1.0, next(done) / steps))

    return told


def _method(files: int) -> str:
    """How openTSNE adds up what pushes points apart."""
    return "bh" if files <= _BARNES_HUT_UP_TO else "fft"


def _beginning(vectors_nE: Floats, settings: MapSettings) -> NDArray[np.float64]:
    """Where files stand before the first step."""
    random = np.random.default_rng(settings.seed)
    noise_n2 = random.normal(size=(len(vectors_nE), 2))
    if settings.initialisation == "random":
        return noise_n2 * _SPREAD
    centred_nE = vectors_nE.astype(np.float64) - vectors_nE.mean(axis=0, dtype=np.float64)
    _, axes_EE = np.linalg.eigh(centred_nE.T @ centred_nE)
    axes_E2 = axes_EE[:, :-3:-1]
    # An axis may point either way; the largest of its numbers shall be positive.
    axes_E2 = axes_E2 * np.sign(axes_E2[np.abs(axes_E2).argmax(axis=0), [0, 1]])
    xy_n2 = centred_nE @ axes_E2
    return (xy_n2 / max(xy_n2[:, 0].std(), np.finfo(float).tiny) + _JITTER * noise_n2) * _SPREAD
