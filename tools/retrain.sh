#!/usr/bin/env bash
# Train liver-lungs-0.4.0 and its fast model again, from the data folder to both packages: about a day on two cores. What made 0.5.0 of it,
# rounds with painted disease and drafts of ill people that were looked at, is a table in docs/models/liver-lungs-0.5.0.md.
#
#     tools/retrain.sh ../shared/data runs/again
#
# The rounds of docs/models/liver-lungs-0.4.0.md, one after the other. Each goes on where it stopped when called again. The first
# rounds saw fewer and differently weighted cases than this gives them (the card says which), so the model will be alike, not equal.
set -euo pipefail
cd "$(dirname "$0")/.."
data=$1 runs=$2
med3d=${MED3D:-.venv/bin/med3d} python=${PYTHON:-.venv/bin/python} recipes=Resources/Recipes

git show 552e44d:Resources/Models/liver-lungs-0.2.0.med3d.zip > "${TMPDIR:-/tmp}/liver-lungs-0.2.0.med3d.zip"
$python tools/draft_livers.py "$data" "$runs/livers" --model "${TMPDIR:-/tmp}/liver-lungs-0.2.0.med3d.zip"
$python tools/prepare_data.py "$data" "$runs/livers" "$runs/data"

init=scratch
for round in 0.1.0 0.2.0 0.3.0 0.3.1 0.3.2 towards-0.4.0; do
    $med3d train "$recipes/liver-lungs-$round.json" "$runs/data/dataset.json" -o "$runs/$round" --init "$init"
    init=$(ls "$runs/$round"/*.med3d.zip)
done
adjusted="$runs/adjusted.med3d.zip"
$python tools/adjust_stage.py "$runs/0.3.2/liver-lungs-0.3.2.med3d.zip" lungs "$adjusted" --towards "$init" --way 0.3 --threshold 0.37
for model in liver-lungs-fast-0.4.0 liver-lungs-0.4.0; do
    $med3d train "$recipes/$model.json" "$runs/data/dataset.json" -o "$runs/$model" --init "$adjusted" --name-cases
done
