"""Where a model lies: in the package, on this disk, or on the Hugging Face hub.

Knows: what "bundled", a path, "owner/name" and "owner/name:file" mean, and what to tell someone who has no network.
Refuses to know what is inside the file, and how it comes here (`download.py`).

    path = locate("loubb/aria-medium-base")                 # downloaded once, then from the hub's own cache
    path = locate("loubb/aria-medium-base:model-demo.safetensors")
    push_to_hub(Path("out"), "someone/my-model")            # a folder with a model and its card
"""

from __future__ import annotations

import re
from pathlib import Path

from partimento.errors import UserError

BUNDLED = {
    "bundled": "continuation.safetensors",
    "bundled-embedding": "embedding.safetensors",
    "bundled-pretrained": "pretrained.safetensors",
    "bundled-classifier": "classifier.safetensors",
}
"""Models that come with the package: name and file inside `partimento/bundled`."""

MODEL_FILE = "model.safetensors"
"""The weights in a folder, and in a repository of the hub."""
BEST_FILE = "best.safetensors"
"""What is better than these in the folder of a training run."""

_LICENCES = {
    **dict.fromkeys(BUNDLED, "CC-BY-NC-SA-4.0"),
    "loubb/aria-medium-base": "Apache-2.0",
    "loubb/aria-medium-gen": "Apache-2.0",
    "loubb/aria-medium-embedding": "Apache-2.0",
}
"""Licences of models that do not carry theirs."""

_ALSO = {"loubb/aria-medium-gen": "loubb/aria-medium-base:model-gen.safetensors"}
"""Where weights lie as well, of repositories that were closed when last looked at."""

_HUB_NAME = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?::([\w-][\w./-]*\.safetensors))?")
_OUR_FOLDERS = frozenset({"runs", "models", "checkpoints", "bundled", "partimento"})
"""What people call their folders of models, and nobody of the hub is called."""
_FILE_KINDS = frozenset({".safetensors", ".onnx", ".pt", ".pth", ".bin", ".ckpt", ".json", ".mid", ".midi"})


def locate(name: str | Path) -> Path:
    """The file behind the name of a bundled model, a file, a folder or "owner/name" on the hub.

    Of a training run's folder it is the best model; of a repository on the hub `model.safetensors`, unless another one
    is named: "owner/name:file.safetensors". What is on the hub is downloaded if it is not there yet. Raises
    `UserError`, which says what to do, if there is no such file.
    """
    if str(name) in BUNDLED:
        path = Path(__file__).parents[1] / "bundled" / BUNDLED[str(name)]
        if not path.is_file():
            raise UserError(f"the model {name!r} is not in this installation ({path}); reinstall partimento")
        return path
    path = Path(name)
    for file in (best_model(path), path):
        if file.is_file():
            return file
    named = _HUB_NAME.fullmatch(name) if isinstance(name, str) else None
    if named and not path.exists() and not _is_local(Path(named[1])):
        return _download(named[1], named[2] or MODEL_FILE)
    what = f"the folder holds no {MODEL_FILE}: " if path.is_dir() else ""
    if not path.exists() and path.name != str(name):
        what = "there is no such file or folder: "
    names = ", ".join(repr(bundled) for bundled in BUNDLED)
    raise UserError(
        f"no model {str(name)!r}: {what}give a .safetensors file, a folder with a {MODEL_FILE}, "
        f"a model of the hub such as loubb/aria-medium-base, or one of {names}"
    )


def _is_local(path: Path) -> bool:
    """Whether a name of two parts, of which nothing is there, says a file or folder of this machine all the same."""
    return path.suffix in _FILE_KINDS or path.parts[0] in _OUR_FOLDERS or path.parent.exists()


def licence_of(name: str) -> str | None:
    """The licence of a bundled or published model that does not carry its own; None of any other."""
    return _LICENCES.get(name.partition(":")[0])


def best_model(folder: Path) -> Path:
    """The file of the best model in a training run's folder; of the last one if none was better than the first."""
    best = folder / BEST_FILE
    return best if best.is_file() else folder / MODEL_FILE


def _download(repository: str, file: str) -> Path:
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
    )
    from huggingface_hub.errors import HTTPError as TransportError  # type: ignore[attr-defined]

    from partimento.model.download import download

    page = f"{constants.ENDPOINT}/{repository}"
    unreachable = UserError(
        f"{repository} is not on this machine and the hub cannot be reached; with a network, download {file} "
        f"from {page} and give its path (HF_ENDPOINT names a mirror)"
    )
    try:
        return download(repository, file)
    except LocalEntryNotFoundError as error:
        raise unreachable from error
    except HFValidationError as error:
        raise UserError(f"{repository!r} is no name for the hub; give owner/name, a file or a folder") from error
    except EntryNotFoundError as error:
        raise UserError(
            f"{page} has no {file}; another file of it is {repository}:NAME.safetensors "
            "(of an ONNX export, download the folder and give its path)"
        ) from error
    except HfHubHTTPError as error:
        status, also = error.response.status_code, _ALSO.get(repository)
        advice = "is the name right, and is it open to you?" if also is None else f"the same weights are {also}"
        raise UserError(f"{page} cannot be read (HTTP status {status}): {advice}") from error
    except (TransportError, ConnectionError) as error:
        raise unreachable from error


def push_to_hub(folder: Path, repository: str, *, private: bool = False) -> str:
    """Uploads all files of a folder to "owner/name", made if there is none; returns the address of what was pushed.

    Who you are is the hub library's business (`hf auth login`, or HF_TOKEN). Raises `UserError` if the hub refuses or
    cannot be reached.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    from huggingface_hub.errors import HTTPError as TransportError  # type: ignore[attr-defined]

    api = HfApi(endpoint=constants.ENDPOINT)
    try:
        made = api.create_repo(repository, private=private, exist_ok=True)
        return api.upload_folder(
            folder_path=folder, repo_id=made.repo_id, commit_message="Upload with partimento"
        ).commit_url
    except HfHubHTTPError as error:
        status = error.response.status_code
        advice = "log in with: hf auth login" if status in (401, 403) else "try again later"
        raise UserError(f"the hub refused {repository} (HTTP status {status}); {advice}") from error
    except HFValidationError as error:
        raise UserError(f"{repository!r} is no name for the hub; give owner/name") from error
    except (TransportError, ConnectionError) as error:
        raise UserError(f"{constants.ENDPOINT} cannot be reached; {repository} was not pushed") from error
