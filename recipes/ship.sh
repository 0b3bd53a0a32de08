#!/usr/bin/env bash
# Three models -> the files that the package carries: weights of 8 bits, and how the continuation is best sampled.
#
#   recipes/ship.sh FOLDER PRETRAINED CONTINUATION EMBEDDING
#
# FOLDER is partimento/bundled for the package itself; the same models give the same bytes.
set -euo pipefail
out=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
for name in pretrained continuation embedding; do
    partimento export "$1" --format partimento-int8 -o "$work/$name"
    shift
done
# Notes alone are cut, and the best of eight candidates goes on (benchmarks/generate/coherence.md). The published 0.98 and
# 0.035 cut long notes first, whose probability is spread over hundreds of tokens.
python - "$work/continuation/model.safetensors" <<'PYTHON'
import sys

from partimento.model.checkpoint import annotate

annotate(sys.argv[1], sampling={"temperature": 1.0, "min_p": 0.01, "cut_times": False}, candidates=8)
PYTHON
for name in pretrained continuation embedding; do
    install -m 644 "$work/$name/model.safetensors" "$out/$name.safetensors"
done
