"""What comes from the hub: resumed, checked, kept once; and one line where that cannot be."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from partimento.errors import UserError
from partimento.model.hub import licence_of, locate
from tests.model.hub_server import Hub, serve

ROOT = Path(__file__).parents[2]
CONTENT = bytes(range(256)) * 40
NAME = "someone/model"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr("time.sleep", lambda _: None)  # the hub library waits before it asks again
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 500)  # what is lost of an answer that is cut
    with serve(monkeypatch, tmp_path / "cache") as hub:
        hub.files[NAME] = {"model.safetensors": CONTENT, "model-demo.safetensors": CONTENT[::-1]}
        yield hub


def left_behind(folder: Path) -> list[str]:
    """Every file in the cache but the library's locks and marks."""
    return [path.name for path in folder.rglob("*") if path.is_file() and path.stat().st_size > 1000]


def test_a_download_that_is_cut_goes_on_where_it_was(hub: Hub):
    hub.cuts = [3000, 1000]
    assert locate(NAME).read_bytes() == CONTENT
    assert hub.ranges == [None, "bytes=3000-", "bytes=4000-"]


def test_what_broke_off_is_resumed_by_the_next_process(hub: Hub, tmp_path: Path):
    hub.cuts = [3000, *[0] * 20]
    with pytest.raises(UserError, match=r"broke off after 0\.0 of 0\.0 MB; run the same again") as refusal:
        locate(NAME)
    assert "\n" not in str(refusal.value)
    hub.cuts, hub.ranges = [], []
    assert locate(NAME).read_bytes() == CONTENT
    assert hub.ranges == ["bytes=3000-"]
    assert left_behind(tmp_path / "cache") == ["model.safetensors", locate(NAME).resolve().name]


def test_a_file_that_is_not_the_hubs_is_refused_and_not_kept(hub: Hub, tmp_path: Path):
    hub.damaged = True
    with pytest.raises(UserError, match=r"from http.*someone/model was damaged .* SHA-256 is") as refusal:
        locate(NAME)
    assert "\n" not in str(refusal.value)
    assert left_behind(tmp_path / "cache") == []
    hub.damaged = False
    assert locate(NAME).read_bytes() == CONTENT


@pytest.mark.parametrize(("begun", "believed"), [(CONTENT[:3000], True), (b"?" * 3000, False), (b"?" * 20_000, True)])
def test_a_beginning_that_lies_there_is_checked_like_what_comes(hub: Hub, tmp_path: Path, begun: bytes, believed: bool):
    part = tmp_path / "cache" / "models--someone--model" / "blobs" / f"{hashlib.sha256(CONTENT).hexdigest()}.incomplete"
    part.parent.mkdir(parents=True)
    part.write_bytes(begun)
    if not believed:
        with pytest.raises(UserError, match="was damaged on its way"):
            locate(NAME)
    assert locate(NAME).read_bytes() == CONTENT
    assert hub.ranges[0] == ("bytes=3000-" if len(begun) < len(CONTENT) else None)


def test_a_hub_that_tells_no_sha256_is_not_believed(hub: Hub):
    hub.tells_sha256 = False
    with pytest.raises(UserError, match=r"does not say version, size and SHA-256 of model.safetensors"):
        locate(NAME)
    assert not hub.ranges


def test_another_file_of_a_repository_is_named_behind_a_colon(hub: Hub):
    assert locate(f"{NAME}:model-demo.safetensors").read_bytes() == CONTENT[::-1]
    with pytest.raises(UserError, match=r"/someone/model has no weights.safetensors"):
        locate(f"{NAME}:weights.safetensors")
    with pytest.raises(UserError, match=r"no model 'someone/model:weights.bin'"):
        locate(f"{NAME}:weights.bin")
    with pytest.raises(UserError, match=r"404.: the same weights are loubb/aria-medium-base:model-gen.safetensors"):
        locate("loubb/aria-medium-gen")
    assert licence_of("loubb/aria-medium-base:model-demo.safetensors") == "Apache-2.0"
    assert licence_of("someone/else") is None


def test_where_it_cannot_be_kept_another_place_is_named(hub: Hub, tmp_path: Path):
    (tmp_path / "cache").write_text("no folder")
    with pytest.raises(UserError, match=r"cannot be kept in .*cache: .*; HF_HOME names another place"):
        locate(NAME)


def test_hf_endpoint_names_a_mirror(hub: Hub, tmp_path: Path):
    from huggingface_hub import constants

    script = f"from partimento.model.hub import locate; print(len(locate('{NAME}').read_bytes()))"

    environment = os.environ | {"HF_ENDPOINT": constants.ENDPOINT, "HF_HUB_CACHE": str(tmp_path / "mirrored")}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stdout) == (0, f"{len(CONTENT)}\n"), done.stderr
    assert len(hub.ranges) == 1


def test_a_mirror_that_is_down_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with serve(monkeypatch, tmp_path / "cache"):
        pass  # its address now belongs to nobody
    monkeypatch.setattr("time.sleep", pytest.fail)  # nothing is tried again
    with pytest.raises(UserError, match=r"the hub cannot be reached.*HF_ENDPOINT names") as refusal:
        locate(NAME)
    assert "\n" not in str(refusal.value)
