#!/usr/bin/env bash
# The story of the bundled models: a folder of MIDI files -> a corpus -> note stores -> a pretrained model -> one that
# was fine-tuned for continuation -> its held-out loss; and from the pretrained one to a model that makes embeddings.
#
#   recipes/bundled.sh MIDI_FOLDER LABELS.csv HOURS
#
# LABELS.csv names each file (column path, relative to the folder) and its split; HOURS is what pretraining may take.
# Interrupted, it goes on where it was when called again with the same arguments.
set -euo pipefail
midi=$1 labels=$2 hours=$3
run=runs/bundled

partimento survey "$midi" --labels "$labels" -o "$run/corpus"
for recipe in pretrain finetune; do
    partimento select "$run/corpus" --recipe "$recipe"
    [ -d "$run/store-$recipe" ] || partimento store "$run/corpus" --selection "$recipe" -o "$run/store-$recipe"
done

# Two threads that spin while they wait lose most of their speed when anything else runs; larger blocks of memory are
# kept rather than given back between steps.
export OMP_WAIT_POLICY=passive MALLOC_MMAP_THRESHOLD_=2000000000 MALLOC_TRIM_THRESHOLD_=8000000000
partimento pretrain "$run/store-pretrain" --recipe bundled --max-hours "$hours" --machine.compile \
    -o "$run/pretrained"
# The rate begins where pretraining ended; small steps, as there.
partimento finetune continuation "$run/store-finetune" --from "$run/pretrained" -o "$run/finetuned" \
    --batch 4 --loop.peak-lr 1.5e-4 --loop.optimiser muon
model=$run/finetuned/model.safetensors
# How this model is best sampled travels in its file: the published 0.98 and 0.035 cut the long notes, whose probability is
# spread over hundreds of ids, so that a model this weak plays ever shorter and denser.
python -c "
from partimento.model.checkpoint import annotate
annotate('$model', sampling={'temperature': 1.0, 'min_p': 0.002})"
partimento plot "$run/pretrained" "$run/finetuned" -o "$run/curves.png"
python benchmarks/bundled/heldout.py "$run/store-pretrain" --models "$model" --split validation
OMP_NUM_THREADS=1 partimento finetune contrastive "$run/store-finetune" --recipe contrastive-small --epochs 6 \
    --from "$run/pretrained" -o "$run/embedding"
echo "To ship them: cp $model partimento/bundled/continuation.safetensors,"
echo "cp $run/embedding/model.safetensors partimento/bundled/embedding.safetensors, and update their cards there"
