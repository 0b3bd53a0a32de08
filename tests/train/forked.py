"""Processes without the seconds that importing torch takes: a program imports it once and forks."""

import os
import socket
import traceback
from collections.abc import Callable


def forked(work: Callable[[], None], *, processes: int = 1) -> list[int]:
    """Runs `work` in so many new processes at once, which find what torchrun would tell them; their wait statuses.

    The caller must not have trained anything yet: threads do not survive a fork.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        told = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": str(processes)}
    children = []
    for rank in range(processes):
        child = os.fork()
        if child == 0:
            if processes > 1:
                os.environ.update(told, RANK=str(rank), LOCAL_RANK=str(rank))
            status = 1
            try:
                work()
                status = 0
            finally:  # a forked process must never run on in its parent's code
                if status:
                    traceback.print_exc()
                os._exit(status)
        children.append(child)
    return [os.waitpid(child, 0)[1] for child in children]
