#!/usr/bin/env bash
# The story of the bundled model: a folder of MIDI files -> a note store -> a trained model -> its held-out loss.
#
#   recipes/bundled.sh MIDI_FOLDER LABELS.csv HOURS
#
# LABELS.csv names each file (column path, relative to the folder) and its split; HOURS is what the training may take.
# Interrupted, it goes on where it was when called again with the same arguments.
set -euo pipefail
midi=$1 labels=$2 hours=$3
run=runs/bundled

[ -d "$run/store" ] || partimento store "$midi" --labels "$labels" -o "$run/store"
# Two threads that spin while they wait lose most of their speed when anything else runs; larger blocks of memory are
# kept rather than given back between steps.
export OMP_WAIT_POLICY=passive MALLOC_MMAP_THRESHOLD_=2000000000 MALLOC_TRIM_THRESHOLD_=8000000000
partimento pretrain "$run/store" --recipe bundled --max-hours "$hours" -o "$run"
# How this model is best sampled travels in its file: the published 0.035 cuts the long notes of a model this weak.
python -c "from partimento.model.checkpoint import annotate; annotate('$run/model.safetensors', sampling={'min_p': 0.01})"
python benchmarks/bundled/heldout.py "$run/store" --model "$run/model.safetensors"
echo "To ship it: cp $run/model.safetensors partimento/bundled/continuation.safetensors, and update its MODEL_CARD.md"
