"""Surveys a folder and says after every step how many files are done; made to be killed.

python -m tests.corpus.interrupted_survey FOLDER CORPUS BATCH
"""

import sys

from partimento.corpus.sources import open_source
from partimento.corpus.survey.run import survey

if __name__ == "__main__":
    folder, corpus, batch = sys.argv[1:]
    steps: list[int] = []

    def say(files: int, _total: int) -> None:
        """To whoever kills it."""
        steps.append(files)
        print(sum(steps), flush=True)  # noqa: T201

    survey([open_source(folder)], corpus, batch=int(batch), workers=1, progress=say)
