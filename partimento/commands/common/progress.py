"""A line that shows how far a verb is, on standard error and only for people: silent when it is not a terminal.

with counted("reading", total=len(plan)) as advance:
    build(plan, out, progress=advance)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

_Each = TypeVar("_Each")


@contextmanager
def counted(what: str, total: int | None = None, *, shown: bool = True) -> Iterator[Callable[..., None]]:
    """Gives a function that takes how many more are done, and the total if it was not known; shows time left."""
    # Only now: it takes longer than all else that a verb's --help needs.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft
    from rich.text import Text

    class Rate(ProgressColumn):
        """How many are done in a second."""

        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:,.0f}/s")

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeLeft())
    with Progress(*columns, console=console, disable=not (shown and console.is_terminal)) as bar:
        task = bar.add_task(what, total=total)

        def advance(done: int, total: int | None = total) -> None:
            bar.update(task, advance=done, total=total)

        yield advance


def passing(what: str, each: Iterable[_Each], *, shown: bool = True) -> Iterator[_Each]:
    """The same, while the line counts what passes by."""
    with counted(what, shown=shown) as advance:
        for one in each:
            yield one
            advance(1)
