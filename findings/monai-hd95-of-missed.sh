#!/usr/bin/env bash
# MONAI 1.6.1 with torch 2.13.0: the Hausdorff distance of an organ that the network missed altogether is inf, as one expects,
# but its 95th percentile is nan: the quantile is interpolated between inf and inf. HausdorffDistanceMetric leaves nan out of
# its mean, so of one perfect and one missed organ the mean HD95 is 0.0, the best there is; the mean HD is inf. A model that
# finds nothing where others find something has the better table. Ask for get_not_nans, or count the missed ones. Ends with 1
# if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q monai==1.6.1 torch==2.13.0 numpy==2.4.6 scipy==1.17.1
cat > "$folder/show.py" <<'PY'
import sys
import warnings

import torch
from monai.metrics import HausdorffDistanceMetric

warnings.simplefilter("ignore")
organ = torch.zeros(1, 2, 24, 24, 24)
organ[:, 1, 6:18, 6:18, 6:18] = 1
organ[:, 0] = 1 - organ[:, 1]
missed = torch.zeros_like(organ)
missed[:, 0] = 1

means = []
for percentile in (None, 95):
    metric = HausdorffDistanceMetric(include_background=False, percentile=percentile)
    perfect, none = metric(organ, organ).item(), metric(missed, organ).item()
    means.append(metric.aggregate().item())
    print(f"percentile {percentile}: perfect {perfect}, missed {none}, mean of the two {means[-1]}")
sys.exit(means != [float("inf"), 0.0])
PY
"$folder/venv/bin/python" "$folder/show.py"
