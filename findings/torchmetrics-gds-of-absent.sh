#!/usr/bin/env bash
# torchmetrics 1.9.0 with torch 2.13.0: scans in which an organ is neither drawn nor found count as 0 in GeneralizedDiceScore. Where one
# scan of three has a spleen, a perfect result has 1/3 for it, and a result with spleens in the two scans that have none has the same; a
# model of one organ that rightly finds nothing in half of the scans has 0.5 by all settings. DiceScore and MeanIoU of the same package
# leave such scans out and give 1. Nothing is said. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torchmetrics==1.9.0 torch==2.13.0 numpy==2.4.6
cat > "$folder/show.py" <<'PY'
import sys
import warnings

import torch
from torchmetrics.segmentation import DiceScore, GeneralizedDiceScore, MeanIoU

warnings.simplefilter("ignore")
LIVER, SPLEEN = 1, 2
truth = torch.zeros(3, 8, 8, 8, dtype=torch.long)
truth[:, :4] = LIVER
truth[0, 5:7] = SPLEEN
invented = truth.clone()
invented[1:, 5:7] = SPLEEN
setting = {"num_classes": 3, "include_background": False, "input_format": "index"}


def measured(metric, result):
    metric.update(result, truth)
    return [round(float(value), 3) for value in metric.compute().reshape(-1)]


seen = {}
for name, result in (("a perfect result", truth), ("invented spleens", invented)):
    seen[name] = {
        "GeneralizedDiceScore": measured(GeneralizedDiceScore(**setting, per_class=True), result),
        "DiceScore": measured(DiceScore(**setting, average="none"), result),
        "MeanIoU": measured(MeanIoU(**setting, per_class=True), result),
    }
    for metric, (liver, spleen) in seen[name].items():
        print(f"{name}: {metric} of the liver {liver}, of the spleen {spleen}")
alone = {}
for weights in ("square", "simple", "linear"):
    metric = GeneralizedDiceScore(2, include_background=False, input_format="index", weight_type=weights)
    spleen = (truth[:2] == SPLEEN).long()
    metric.update(spleen, spleen)
    alone[weights] = round(float(metric.compute()), 3)
print("the spleen alone, perfect, in one of two scans: GeneralizedDiceScore", alone)
perfect, wrong = seen.values()
same = perfect["GeneralizedDiceScore"] == wrong["GeneralizedDiceScore"] == [1.0, 0.333]
others = perfect["DiceScore"] == perfect["MeanIoU"] == [1.0, 1.0] and wrong["DiceScore"][1] < 0.5
sys.exit(not (same and others and set(alone.values()) == {0.5}))
PY
"$folder/venv/bin/python" "$folder/show.py"
