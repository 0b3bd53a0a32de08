#!/usr/bin/env bash
# The story of Table 2: embedding models with their ablations, classifiers with few and many labels, and the table.
#
#   recipes/table2.sh MIDI_FOLDER STORE [BASE]
#
# MIDI_FOLDER holds the tasks' files (partimento evaluate tasks --data MIDI_FOLDER says which); STORE is a note store made
# from a selection, so that files of one piece are known; BASE is the pretrained model, `bundled` unless given.
# What was interrupted goes on when called again with the same arguments; what is done is not done again.
set -euo pipefail
midi=$1 store=$2 base=${3:-bundled}
out=runs/table2

contrast() { partimento finetune contrastive "$store" --recipe contrastive-small --from "$base" -o "$out/$1" "${@:2}"; }
contrast emb
contrast emb-scratch --no-pretrained
contrast emb-e1 --epochs 1
contrast emb-t0.05 --temperature 0.05
contrast emb-t0.5 --temperature 0.5

classify() { partimento finetune classifier --recipe classifier-small --from "$base" --task "$1" -o "$out/ft/$2" "${@:3}"; }
for task in genre form period composer pianist8 vgmidi; do
  classify "$task" "$task" --data "$midi"
done
for task in genre form period composer; do
  for labels in 100 200 500 1000; do
    # A class with too few files for a balanced subset is said, and the table's cell stays empty.
    classify "$task" "$task-$labels" --data "$out/ft/$task/store" --labelled "$labels" || true
  done
done

models=(base="$base" ft="$out/ft")
for name in emb emb-scratch emb-e1 emb-t0.05 emb-t0.5; do models+=("$name=$out/$name/model.safetensors"); done
partimento evaluate table2 --data "$midi" -o "$out/table" --models "${models[@]}"
