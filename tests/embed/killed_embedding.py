"""Embeds SOURCE into OUT with the model MODEL and kills itself, with SIGKILL, when the second block is done.

python -m tests.embed.killed_embedding SOURCE OUT MODEL
"""

import os
import signal
import sys
from pathlib import Path

from partimento.corpus.sources import open_source
from partimento.embed import table
from partimento.embed.encoder import Encoder

source, out, model = sys.argv[1:]
table.FILES_AT_ONCE = 2
files = open_source(source)
calls = []


def progress(done: int) -> None:
    calls.append(done)
    if len(calls) == 3:  # the first call tells of what was there before
        os.kill(os.getpid(), signal.SIGKILL)


table.embed(files, files.entries(), Encoder.load(Path(model)), out, model="tiny", progress=progress)
