#!/usr/bin/env bash
# The story of the bundled models: a folder of MIDI files -> a corpus -> note stores -> a pretrained model -> one that
# was fine-tuned for continuation, and one that makes embeddings -> their held-out loss -> files of 8 bits.
#
#   recipes/bundled.sh MIDI_FOLDER LABELS.csv [gpu|processor [HOURS]]
#
# LABELS.csv names each file (column path, relative to the folder) and its split. `gpu` is how the shipped models were
# made, on one H200 within ten minutes from the stores on; `processor` makes smaller ones (5.6 M parameters, context
# 1,024) in HOURS of pretraining (2) on two cores, and half an hour each for the other two. Interrupted, it goes on where
# it was when called again with the same arguments.
set -euo pipefail
midi=$1 labels=$2 machine=${3:-gpu} hours=${4:-2}
run=runs/bundled-$machine

case $machine in
gpu)
    pretrain=(--recipe bundled)
    continuation=(--batch 16 --loop.peak-lr 3e-4 --machine.compile)
    contrastive=(--length 2048 --batch 64 --machine.micro-batch-size 64 --epochs 4)
    ;;
processor)
    # Two threads that spin while they wait lose most of their speed when anything else runs; larger blocks of memory
    # are kept rather than given back between steps.
    export OMP_WAIT_POLICY=passive MALLOC_MMAP_THRESHOLD_=2000000000 MALLOC_TRIM_THRESHOLD_=8000000000
    pretrain=(--recipe two-cores --max-hours "$hours" --machine.compile)
    continuation=(--batch 4 --loop.peak-lr 1.5e-4)
    contrastive=(--epochs 6)
    ;;
*)
    echo "give gpu or processor, not $machine" >&2
    exit 2
    ;;
esac

partimento survey "$midi" --labels "$labels" -o "$run/corpus"
for recipe in pretrain finetune contrastive; do
    partimento select "$run/corpus" --recipe "$recipe"
    [ -d "$run/store-$recipe" ] || partimento store "$run/corpus" --selection "$recipe" -o "$run/store-$recipe"
done

partimento pretrain "$run/store-pretrain" "${pretrain[@]}" -o "$run/pretrained"
# The rate begins where pretraining ended.
partimento finetune continuation "$run/store-finetune" --from "$run/pretrained" -o "$run/continuation" \
    --loop.optimiser muon "${continuation[@]}"
partimento finetune contrastive "$run/store-contrastive" --from "$run/pretrained" -o "$run/embedding" \
    --recipe contrastive-small "${contrastive[@]}"
partimento plot "$run/pretrained" "$run/continuation" -o "$run/curves.png" --force
recipes/ship.sh "$run/shipped" "$run/pretrained" "$run/continuation" "$run/embedding"
python -m benchmarks.bundled.heldout "$run/store-pretrain" --models "$run/shipped/continuation.safetensors" \
    "$run/shipped/pretrained.safetensors"
echo "To put them into the package: cp $run/shipped/*.safetensors partimento/bundled, and update their cards there"
