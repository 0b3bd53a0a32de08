"""What MkDocs does not do by itself for this site (mkdocs.yml): pages that are made, and links that leave docs/.

- `reference/commands.md` is what every verb's `--help` prints.
- A notebook of `examples/` becomes a page.
- A link from a document to a file elsewhere in the repository leads to that file's own page or copy on the site, under
  `repository/`; so a benchmark's result or a model's card is read where it is cited. A link to nothing fails the build.
"""

import contextlib
import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from partimento.cli import VERBS
from partimento.commands.common.verbs import Verb, every

DOCS = Path(__file__).parent
ROOT = DOCS.parent
LINK = re.compile(r"(\]\()(?!\w+:|#|/)([^)#\s]+)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made, and the files elsewhere in the repository that documents lead to."""
    files.append(File.generated(config, "reference/commands.md", content=commands()))
    waiting = [Path(file.abs_src_path) for file in files.documentation_pages() if file.abs_src_path]
    known = set(waiting)
    while waiting:
        document = waiting.pop()
        for target in targets(document):
            if target in known or target.is_relative_to(DOCS) or not target.is_file():
                continue
            known.add(target)
            if target.suffix == ".ipynb":
                files.append(File.generated(config, place_of(target).as_posix(), content=notebook(target)))
                continue
            files.append(File.generated(config, place_of(target).as_posix(), abs_src_path=str(target)))
            if target.suffix == ".md":
                waiting.append(target)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 (by name)
    """Let the links of a page lead to where their files are on the site."""
    source = page.file.abs_src_path
    return markdown if source is None else relocated(markdown, Path(source))


def targets(document: Path) -> Iterator[Path]:
    """The files that a document's links lead to, whether they exist or not."""
    for link in LINK.finditer(FENCED.sub("", document.read_text(encoding="utf-8"))):
        yield Path(os.path.normpath(document.parent / link[2]))


def relocated(markdown: str, document: Path) -> str:
    """A document with its links as links between pages of the site."""

    def lead(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(document.parent / link[2]))
        return link[1] + (os.path.relpath(place_of(target), place_of(document).parent) if target.is_file() else link[2])

    return LINK.sub(lead, markdown)


def place_of(path: Path) -> Path:
    """Where a file of the repository stands on the site."""
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS)
    return Path("repository", path.relative_to(ROOT)).with_suffix(".md" if path.suffix == ".ipynb" else path.suffix)


def notebook(path: Path) -> str:
    """A notebook's text and code, and where it is to be had."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    parts = ["".join(cell["source"]) for cell in cells]
    shown = [
        f"```python\n{part}\n```" if cell["cell_type"] == "code" else part
        for cell, part in zip(cells, parts, strict=True)
    ]
    return relocated("\n\n".join([*shown, f"(`examples/{path.name}` in the repository.)"]), path)


def commands() -> str:
    """What every verb's --help prints, as one page."""
    os.environ["COLUMNS"] = "80"  # what fits beside the contents
    helps = [f"## partimento {name}\n\n```text\n{printed_help(verb)}\n```" for name, verb in every(VERBS)]
    return "\n\n".join(["# The command line", "`partimento VERB --help` prints the same.", *helps])


def printed_help(verb: Verb) -> str:
    """What a verb prints for --help."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        verb.load()(["--help"])
    return out.getvalue().strip()
