"""Which precision suits a device: asked of real libraries, allowed and forbidden what processors differ in."""

import os
import platform
import subprocess
import sys

import pytest
import torch

from partimento.model import precision
from partimento.model.precision import computing_dtype, native_bfloat16, remark

CPU = torch.device("cpu")
ASK = "import torch; from partimento.model.precision import *; print(native_bfloat16(torch.device('cpu')))"


def answer(**allowed: str) -> bool:
    """What a new process with such variables finds."""
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_MAX_CPU_ISA")} | allowed
    found = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True)
    return {"True": True, "False": False}[found.stdout.strip()]


oneDNN = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or not torch.backends.mkldnn.is_available(),
    reason="oneDNN can be told to leave out instructions on x86 only",
)


@oneDNN
@pytest.mark.parametrize("most", ["AVX2", "AVX512_CORE"])
def test_a_processor_kept_from_its_instructions_for_bfloat16_does_not_multiply_it(most):
    assert not answer(ONEDNN_MAX_CPU_ISA=most)


@oneDNN
@pytest.mark.skipif(not hasattr(torch.cpu, "get_capabilities"), reason="this torch does not tell instructions")
def test_a_processor_multiplies_bfloat16_if_it_has_the_instructions():
    flags = torch.cpu.get_capabilities()
    assert answer() == bool(flags.get("avx512_bf16") or flags.get("amx_bf16"))


def test_trying_a_processor_leaves_the_number_of_threads_alone():
    threads = torch.get_num_threads()
    native_bfloat16.cache_clear()
    native_bfloat16(CPU)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("native", "asked", "dtype", "said"),
    [
        (True, "auto", torch.bfloat16, "precision: bfloat16, which this processor multiplies itself"),
        (False, "auto", torch.float32, "precision: float32, since this processor does not multiply bfloat16 itself"),
        (True, "float32", torch.float32, "precision: float32; in bfloat16 this processor would be faster"),
        (False, "bfloat16", torch.bfloat16, "although this processor does not multiply it itself: far slower"),
    ],
)
def test_auto_goes_by_the_device_and_the_choice_is_said_in_a_line(monkeypatch, native, asked, dtype, said):
    monkeypatch.setattr(precision, "native_bfloat16", lambda device: native)
    assert computing_dtype(asked, CPU) == dtype
    line = remark(dtype, CPU)
    assert said in line
    assert "\n" not in line
