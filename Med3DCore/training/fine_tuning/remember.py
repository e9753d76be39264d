"""Learn one label without forgetting another: what nobody labelled stays as the network sees it before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from Med3DCore.inference.device import Device
from Med3DCore.inference.sliding_window import sliding_window
from Med3DCore.models.stage import Stage
from Med3DCore.models.weights import load_into
from Med3DCore.networks import build_network
from Med3DCore.preprocessing.preprocessing import Preprocessing
from Med3DCore.progress import Progress
from Med3DCore.training.cases.case import UNKNOWN
from Med3DCore.training.cases.prepared import Prepared, PreparedCase


def remembered(
    cases: Sequence[Prepared], stage: Stage, weights: dict[str, Tensor], device: Device, progress: Progress
) -> list[Prepared]:
    """Fill what is unknown of labels that a case has no annotation of with what the stage finds there by now.

    Args:
        cases: Cases on the stage's grid; those to check on stay as they are.
        stage: A stage of independent labels (sigmoid); of others nothing is filled.
        weights: Its weights before it goes on learning.
        device: Where to compute.
        progress: May cancel.
    """
    lacking = [
        [i for i, name in enumerate(stage.labels) if name not in (*case.case.annotated, *case.case.absent)]
        for case in cases
    ]
    if stage.activation != "sigmoid" or not any(lacking):
        return list(cases)
    network = build_network(stage.network)
    load_into(network, weights, f"stage {stage.name}")
    network.to(device.torch_device).eval()
    intensity = Preprocessing.from_dict(stage.preprocessing).intensity
    filled: list[Prepared] = []
    for case, channels in zip(cases, lacking, strict=True):
        if channels and case.case.split == "training":
            array = intensity.apply(case.image.copy(), case.statistics)
            found = sliding_window(network, array, stage.window, device, overlap=0.25, progress=progress) > 0.5
            target = case.target.copy()
            for channel in channels:
                np.copyto(target[channel], found[channel], where=target[channel] == UNKNOWN, casting="unsafe")
            case = PreparedCase(case.case, case.image, target, case.geometry, case.statistics)
        filled.append(case)
    return filled
