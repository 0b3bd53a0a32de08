#!/usr/bin/env bash
# The story of Table 2: embedding models with their ablations, classifiers with few and many labels, and the table.
#
#   recipes/table2.sh MIDI_FOLDER STORE [BASE [MINUTES]]
#
# MIDI_FOLDER holds the tasks' files (partimento evaluate tasks --data MIDI_FOLDER says which); STORE is a note store made
# from a selection, so that files of one piece are known; BASE is the pretrained model, `bundled-pretrained`
# unless given.
#
# Made for two processor cores and about two hours with a base of 5.6 M parameters (the bundled one, of 28 M, takes several
# times as long): EPOCHS (6) for embeddings where the paper has 25, views and slices of
# some 80 notes where it has up to 650 and 300, five slices of a file where it reads all, classifiers of 20 epochs
# (genre, whose answer is easy: 2) where it has 10. The parts run side by side on LANES (2) cores, the most telling
# first; after MINUTES none is begun any more, and the table is made of what there is. A part's output is in logs/. A part
# that fails is named, and the table does without it. What was interrupted, failed or found no time goes on when called
# again with the same arguments.
set -euo pipefail
export midi=$1 store=$2 base=${3:-bundled-pretrained} out=runs/table2 epochs=${EPOCHS:-6}
export deadline=$(($(date +%s) + 60 * ${4:-600}))
export OMP_NUM_THREADS=1 MALLOC_MMAP_THRESHOLD_=2000000000 MALLOC_TRIM_THRESHOLD_=8000000000
mkdir -p "$out/logs" "$out/done"

# Cells of the table, and another performance among the nearest, as soon as a model is there; all is written at the end.
reading="--half --slicing.notes 80 --slicing.most 5"
cells() { partimento evaluate table2 --data "$midi" -o "$out/table" $reading --models "$@"; }
nearest() { partimento evaluate retrieval --data "$midi" -o "$out/table" $reading --models "$@"; }

contrast() { # NAME SETTINGS
  local model=$1=$out/$1/model.safetensors
  partimento finetune contrastive "$store" --recipe contrastive-small --from "$base" -o "$out/$1" "${@:2}" &&
    cells "$model" && nearest "$model"
}

classify() { # TASK SETTINGS
  partimento finetune classifier --recipe classifier-small --from "$base" --task "$1" --data "$midi" \
    -o "$out/ft/$1" --slicing.notes 80 --slicing.most 5 "${@:2}"
}

few() { # TASK LABELS SETTINGS: from the files of the task's own run
  partimento finetune classifier --recipe classifier-small --from "$base" --task "$1" --data "$out/ft/$1/store" \
    --labelled "$2" -o "$out/ft/$1-$2" "${@:3}"
}

untuned() { cells base="$base" && nearest --pooled-models base="$base"; }

part() { # NAME COMMAND: its output to a file, a mark if it was finished
  if [ "$(date +%s)" -ge "$deadline" ]; then
    echo "no time: $1"
    return
  fi
  rm -f "$out/done/$1"
  echo "$(date +%T) begins: $1"
  if "${@:2}" >"$out/logs/$1" 2>&1; then
    touch "$out/done/$1"
    echo "$(date +%T) done: $1"
  else
    echo "$(date +%T) FAILED: $1, see $out/logs/$1"
  fi
}
export reading
export -f cells nearest contrast classify few untuned part

parts() {
  cat <<END
statistics cells ft=$out/ft
emb contrast emb --epochs $epochs
emb-scratch contrast emb-scratch --epochs $epochs --no-pretrained
emb-e1 contrast emb-e1 --epochs 1
ft-composer classify composer
ft-period classify period
ft-form classify form
ft-genre classify genre --epochs 2
ft-pianist8 classify pianist8
ft-vgmidi classify vgmidi
emb-t0.05 contrast emb-t0.05 --epochs 1 --temperature 0.05
emb-t0.5 contrast emb-t0.5 --epochs 1 --temperature 0.5
base untuned
END
  # More labels than these, as many of each class, take more files of the rarest class than there are; of period even 100.
  for run in "composer 100" "form 100" "pianist8 100" "pianist8 200"; do echo "ft-${run/ /-} few $run"; done
  for labels in 100 200 500 1000; do echo "ft-genre-$labels few genre $labels --epochs 5"; done
}
parts | xargs -P "${LANES:-2}" -d '\n' -I PART bash -c 'part PART'

embedders=()
for name in emb emb-scratch emb-e1 emb-t0.05 emb-t0.5; do
  [ ! -e "$out/done/$name" ] || embedders+=("$name=$out/$name/model.safetensors")
done
pretrained=()
[ ! -e "$out/done/base" ] || pretrained=(base="$base")
cells ft="$out/ft" "${pretrained[@]}" "${embedders[@]}"
nearest "${embedders[@]}" --pooled-models "${pretrained[@]}"
absent=$(parts | while read -r name _; do [ -e "$out/done/$name" ] || echo "$name"; done)
[ -z "$absent" ] || { echo "The table does without:" $absent; exit 1; }
