#!/usr/bin/env bash
# A GPU on a machine without network, for ten minutes: what travels there, what is done, what comes back.
#
#   recipes/gpu.sh pack BOX BASE NAME=STORE ...    # here: source, model, notes and wheels, in one folder
#   BOX/gpu.sh run BOX OUT [MINUTES [PART ...]]    # there: benchmarks/train/gpu.py, then what comes home in OUT/home
#   recipes/gpu.sh home HOME FOLDER                # here: the models and runs, put together again
#
# BASE is a pretrained model; NAMEs are finetune, contrastive and those of tasks (their stores are what
# `partimento finetune classifier` leaves in its runs). The other machine has PyTorch, numba, pyarrow, safetensors,
# scikit-learn and rich; WHEELS names what it lacks, FOR its Python. Stores take some 3 bytes a note, models with 8 bits a
# weight 1.1 bytes; what comes home is in files of PART bytes.
set -euo pipefail
python=${PYTHON:-python3}

pack() { # BOX BASE NAME=STORE ...
    local box=$1 base=$2
    mkdir -p "$box/wheels"
    git archive HEAD partimento benchmarks ':!*.safetensors' | tar -x -C "$box"
    cp "$0" "$box/gpu.sh"
    PYTHONPATH=$box "$python" -m benchmarks.train.carry pack "$box/notes" "${@:3}"
    "$python" -m partimento export "$base" --format partimento-int8 -o "$box/base"
    "$python" -m pip download -q --no-deps --only-binary=:all: --python-version "${FOR:-3.12}" -d "$box/wheels" \
        ${WHEELS-tyro docstring-parser typeguard}
    du -sh "$box"
}

run() { # BOX OUT [MINUTES [PART ...]]
    local box=$1 out=$2 minutes=${3:-9}
    if compgen -G "$box/wheels/*.whl" >/dev/null; then
        "$python" -m pip install -q --no-index --no-deps --no-compile --target "$box/site" "$box"/wheels/*.whl
    fi
    export PYTHONPATH="$box:$box/site" PYTHONUNBUFFERED=1
    [ -d "$box/stores" ] || "$python" -m benchmarks.train.carry unpack "$box/notes" "$box/stores"
    "$python" -m benchmarks.train.gpu --base "$box/base" --stores "$box/stores" --minutes "$minutes" -o "$out" \
        ${4:+--only "${@:4}"}
    mkdir -p "$out/home"
    for name in finetuned embedding; do
        [ ! -e "$out/$name/model.safetensors" ] ||
            "$python" -m partimento export "$out/$name" --format partimento-int8 -o "$out/packed/$name"
    done
    # Classifiers stay: what they said of the test files is what counts.
    (cd "$out" && find . -type f ! -name '*.safetensors' ! -path '*/checkpoints/*' ! -path './home/*' \
        ! -path './packed/*' ! -path './ft/*/store/*' -print0 | tar -cz --null -T - -f home/runs.tgz)
    [ ! -d "$out/packed" ] || tar -c -C "$out/packed" . | split -b "${PART:-14000000}" -d - "$out/home/models."
}

home() { # HOME FOLDER
    mkdir -p "$2/models"
    tar -xz -C "$2" -f "$1/runs.tgz"
    [ ! -e "$1/models.00" ] || cat "$1"/models.* | tar -x -C "$2/models"
}

case ${1-} in
pack | run | home) "$@" ;;
*)
    sed -n '2,13p' "$0" >&2
    exit 2
    ;;
esac
