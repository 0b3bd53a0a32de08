"""A file of the model hub on this disk: resumed where it broke off, and kept only if it is what the hub says it is.

It lies in the hub library's own cache, so that other programs find what we fetched and we find what they did. That
library gives up what it has of a file when it is interrupted, and compares sizes only; so the bytes are fetched here,
by its HTTP. Refuses to know which file a model's name means (`hub.py`).

    path = download("loubb/aria-medium-base", "model.safetensors")

A download in the making is `blobs/SHA256.incomplete` in that cache; it gets its name when its SHA-256 is right.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from partimento.errors import UserError

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata

_SHA256 = re.compile(r"[0-9a-f]{64}")


def download(repository: str, file: str) -> Path:
    """The file of "owner/name", from this disk if it is there; then nobody is asked, and no network is needed.

    Of several processes one downloads and the others wait. Raises `UserError` if the download breaks off, the file is
    not the one that the hub has, or it cannot be kept; what the hub library raises if the hub is silent or refuses.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import LocalEntryNotFoundError

    with contextlib.suppress(LocalEntryNotFoundError):
        return Path(hf_hub_download(repository, file, local_files_only=True))
    facts = get_hf_file_metadata(hf_hub_url(repository, file, endpoint=constants.ENDPOINT))  # asks once: no retries
    _fetch(repository, file, facts)
    return Path(hf_hub_download(repository, file))  # finds what was fetched, and names it


def _fetch(repository: str, file: str, facts: HfFileMetadata) -> None:
    """Bring the file into the cache under its SHA-256, unless it is there."""
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.errors import HTTPError as TransportError  # type: ignore[attr-defined]
    from huggingface_hub.file_download import http_get, repo_folder_name
    from huggingface_hub.utils import WeakFileLock, build_hf_headers  # type: ignore[attr-defined]

    page, sha256, size = f"{constants.ENDPOINT}/{repository}", facts.etag or "", facts.size
    if not _SHA256.fullmatch(sha256) or size is None or facts.commit_hash is None:
        raise UserError(
            f"{page} does not say version, size and SHA-256 of {file}, so that a download could not be checked; "
            "fetch it in your own way and give its path"
        )
    url = hf_hub_url(repository, file, revision=facts.commit_hash, endpoint=constants.ENDPOINT)
    cache, folder = Path(constants.HF_HUB_CACHE), repo_folder_name(repo_id=repository, repo_type="model")
    whole, lock = cache / folder / "blobs" / sha256, cache / ".locks" / folder / f"{sha256}.lock"
    part = whole.with_name(f"{sha256}.incomplete")
    try:
        for path in (whole, lock):
            path.parent.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(lock):
            if whole.exists():
                return
            with part.open("ab") as rest:
                if rest.tell() > size:
                    rest.seek(0)
                    rest.truncate()
                http_get(
                    url,
                    rest,
                    resume_size=rest.tell(),
                    headers=build_hf_headers(),
                    expected_size=size,
                    displayed_filename=f"{repository}: {file}",
                )
                rest.flush()
                os.fsync(rest.fileno())
            _keep_if_right(part, whole, sha256, f"{file} from {page}")
    except OSError as error:
        if error.strerror is not None:
            raise UserError(
                f"{file} cannot be kept in {cache}: {error.strerror.lower()}; HF_HOME names another place"
            ) from error
        raise _broken_off(part, size, f"{file} from {page}") from error
    except TransportError as error:
        raise _broken_off(part, size, f"{file} from {page}") from error


def _keep_if_right(part: Path, whole: Path, sha256: str, what: str) -> None:
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        part.unlink()
        raise UserError(
            f"{what} was damaged on its way: its SHA-256 is {found[:16]}..., not {sha256[:16]}...; "
            "nothing of it was kept, run the same again"
        )
    part.replace(whole)


def _broken_off(part: Path, size: int, what: str) -> UserError:
    done = part.stat().st_size if part.exists() else 0
    return UserError(
        f"the download of {what} broke off after {done / 1e6:,.1f} of {size / 1e6:,.1f} MB; "
        "run the same again to go on from there"
    )
