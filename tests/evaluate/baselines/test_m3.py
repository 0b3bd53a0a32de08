"""M3 and CLaMP 3 from folders of the published layout, small and random, beside a plain reading with padding."""

import mido
import numpy as np
import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel

from partimento import UserError
from partimento.evaluate.baselines.m3 import PATCH, PIECE, clamp3, m3, patches, pieces, text
from partimento.evaluate.encoders import file_encoder

WIDTH = 64


class PatchEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch_embedding = nn.Linear(64 * 128, WIDTH)
        self.base = BertModel(
            BertConfig(
                vocab_size=1,
                hidden_size=WIDTH,
                num_hidden_layers=2,
                num_attention_heads=1,
                intermediate_size=4 * WIDTH,
                max_position_embeddings=512,
            )
        )


class Published(nn.Module):
    """The names that stand in the published files, those beside the ones that are needed too."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = PatchEncoder()
        self.decoder = nn.Linear(2, 2)
        self.symbolic_model = self.encoder
        self.symbolic_proj = nn.Linear(WIDTH, WIDTH)
        self.text_model = nn.Linear(2, 2)


def midi(path, notes):
    file = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack()
    track.append(mido.MetaMessage("track_name", name="Chopin", time=0))
    track.append(mido.MetaMessage("set_tempo", tempo=500_000, time=0))
    for n in range(notes):
        track.append(mido.Message("note_on", note=30 + n % 60, velocity=1 + n % 100, time=n % 7))
        track.append(mido.Message("control_change", control=64, value=n % 128, time=10_000))
    file.tracks.append(track)
    file.save(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    state = Published().eval().state_dict()
    told = {"epoch": 3, "min_eval_loss": 0.5}
    with_m3 = {name: tensor for name, tensor in state.items() if name.startswith(("encoder.", "decoder."))}
    torch.save({"model": with_m3, **told}, folder / "weights_m3_h_size_64.pth")
    rest = {name: tensor for name, tensor in state.items() if name.startswith(("symbolic", "text"))}
    torch.save({"model": rest, **told}, folder / "weights_clamp3_saas_h_size_64.pth")
    return folder


def test_a_file_is_a_line_a_message_without_its_names(tmp_path):
    lines = text(midi(tmp_path / "a.mid", 1)).splitlines()
    assert lines == [
        "ticks_per_beat 480",
        "set_tempo 500000 0",
        "note_on 0 0 30 1",
        "control_change 10000 0 64 0",
        "end_of_track 0",
    ]


def test_lines_of_one_kind_share_a_patch_while_they_fit():
    lines = ["note_on 0 0 60 64"] * 6 + ["note_off 0 0 60 64"]
    begin, *rows, end = patches("\n".join(lines)).tolist()
    shown = ["".join(map(chr, row)) for row in rows]
    fields = "0 0 60 64"
    assert shown[0].rstrip("\0") == f"\x01note_on {fields}\t{fields}\t{fields}\t{fields}\t{fields}\n\x02"
    assert shown[1].rstrip("\0") == f"\x01note_on {fields}\n\x02"
    assert shown[2].rstrip("\0") == "\x01note_off 0 0 60 64\x02"
    assert len(rows) == 3
    assert begin == [1] * PATCH
    assert end == [1] + [2] * (PATCH - 1)


@pytest.mark.parametrize("count", [1, 511, 512, 513, 1024, 1500])
def test_every_patch_is_new_in_one_piece_and_pieces_are_full_where_they_can_be(count):
    rows = np.arange(count)[:, None]
    read = list(pieces(rows))
    assert np.concatenate([piece[-new:] for piece, new in read]).tolist() == rows.tolist()
    assert all(len(piece) == min(PIECE, count) for piece, _ in read)


def read_with_padding(encoder, piece):
    """[P, E] as the authors read: filled up to 512 patches, under a mask."""
    padded = np.zeros((PIECE, PATCH), np.int64)
    padded[: len(piece)] = piece
    one_hot = torch.nn.functional.one_hot(torch.from_numpy(padded), 128).reshape(1, PIECE, -1).float()
    mask = (torch.arange(PIECE) < len(piece)).long()[None]
    with torch.inference_mode():
        hidden = encoder.base(inputs_embeds=encoder.patch_embedding(one_hot), attention_mask=mask).last_hidden_state
    return hidden[0, : len(piece)]


def test_the_vectors_are_the_authors(folder, tmp_path):
    network = Published().eval()
    short, long = midi(tmp_path / "short.mid", 5), midi(tmp_path / "long.mid", 420)
    for path in (short, long):
        rows = patches(text(path))
        last = len(rows) % PIECE
        split = [rows[start : start + PIECE] for start in range(0, len(rows), PIECE)]
        assert len(split) == (1 if path == short else 2)
        split[-1] = rows[-PIECE:]
        hidden = [read_with_padding(network.encoder, piece) for piece in split]
        weights = torch.tensor([PIECE] * (len(split) - 1) + [last])[:, None]
        projected = torch.stack([network.symbolic_proj(one.mean(0)) for one in hidden])
        expected = ((projected * weights).sum(0) / weights.sum()).detach().numpy()
        assert np.allclose(clamp3(folder)([path])[0], expected, atol=1e-5)
        hidden[-1] = hidden[-1][-last:]
        assert np.allclose(m3(folder)([path])[0], torch.cat(hidden).mean(0).numpy(), atol=1e-5)
    assert m3(folder)([short, long]).shape == (2, WIDTH)


def test_what_is_no_such_folder_is_refused(folder, tmp_path):
    with pytest.raises(UserError, match=r"holds 0 files weights_m3\*\.pth"):
        m3(tmp_path)
    torch.save({"model": {"encoder.patch_embedding.weight": torch.zeros(4, 10)}}, tmp_path / "weights_m3.pth")
    with pytest.raises(UserError, match="characters"):
        m3(tmp_path)
    torch.save({"model": {"symbolic_proj.weight": torch.zeros(4, 4)}}, tmp_path / "weights_clamp3.pth")
    with pytest.raises(UserError, match="lack patch_embedding"):
        clamp3(tmp_path)
    broken = tmp_path / "x.mid"
    broken.write_bytes(b"no music")
    with pytest.raises(UserError, match=r"x\.mid: mido cannot read it"):
        m3(folder)([broken])


def test_the_probe_and_the_table_find_it_by_its_name(folder, tmp_path):
    path = midi(tmp_path / "a.mid", 5)
    assert np.array_equal(file_encoder(f"clamp3:{folder}").encode([path]), clamp3(folder)([path]))
    with pytest.raises(UserError, match="nowhere holds 0 files"):
        file_encoder("m3:nowhere")
