"""daft, as this package uses it: silent, reporting to nobody, on this machine or on a Ray cluster.

Knows how an engine is started and how many processes it has; refuses to know what is computed. Whoever needs daft
takes it from here, since it reads its settings when it is first imported.

    >>> from partimento.corpus.engine import daft, start
    >>> cores = start(cluster=None)
"""

from __future__ import annotations

import logging
import os
import socket

# Usage statistics would be sent to daft's makers, and its own progress bars would stand among ours.
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("DAFT_PROGRESS_BAR", "0")

import daft
from daft.exceptions import DaftCoreException
from daft.runners import get_or_create_runner

from partimento.errors import UserError

__all__ = ["DaftCoreException", "daft", "start"]


def start(cluster: str | None) -> int:
    """Start daft here, or on the Ray cluster at an address (as `ray start` prints it); returns its number of cores.

    A process has one engine: the first one counts. Raises `UserError` if there is no such cluster, or no Ray.
    """
    if cluster is None:
        get_or_create_runner()
        return len(os.sched_getaffinity(0))
    try:
        import ray
    except ImportError as error:
        raise UserError("a cluster needs Ray: pip install 'partimento[cluster]'") from error
    try:
        host, _, port = cluster.removeprefix("ray://").rpartition(":")
        if port.isdigit():
            socket.create_connection((host, int(port)), timeout=10).close()  # Ray itself would try for minutes
        ray.init(address=cluster, log_to_driver=False, logging_level=logging.ERROR, ignore_reinit_error=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"no Ray cluster answers at {cluster}: {error}") from error
    daft.set_runner_ray(noop_if_initialized=True)
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    return max(1, int(sum(resources.get("CPU", 0) for resources in machines)))
