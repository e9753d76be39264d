"""A classifier of whole scans with random weights."""

from __future__ import annotations

import torch

from Med3DCore.models.package import ModelPackage
from Med3DCore.models.package_file import save_package
from Med3DCore.models.stage import Stage
from Med3DCore.networks import build_network

CLASSES = ("a", "b", "c")
ENCODER = {"name": "resnet", "depth": 10, "width": 2, "output_stride": 8, "stem_stride": 1}
SPACING, WINDOW = (2.0, 2.5, 3.0), (16, 20, 24)


def save_scan_classifier(
    folder, activation="softmax", members=1, classes=CLASSES, spacing=SPACING, window=WINDOW, low=0, high=100, bias=0.0
):
    """Write the package, whose window has no equal axes; a bias makes all answers more likely. Returns its path."""
    network = {"encoder": ENCODER, "decoder": {"name": "scan_classification", "pool": "attention"}}
    network |= {"out_channels": len(classes), **({"members": members} if members > 1 else {})}
    preprocessing = {"spacing": list(spacing), "intensity": {"name": "window", "low": low, "high": high}}
    stage = Stage("scan", network, preprocessing, classes, activation, window)
    about = {"title": "Tiny", "description": "Random weights.", "modality": "CT", "licence": "CC0"}
    package = ModelPackage(name="tiny", version="1.0.0", stages=(stage,), **about)
    torch.manual_seed(1)
    weights = build_network(network).state_dict()
    for name in weights:
        if name.endswith("logits.bias"):
            weights[name] += bias
    return save_package(package, {"scan": weights}, folder, half=False)
