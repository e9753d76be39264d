"""A model that finds what is bright, of hand-set weights, and a scan with a bright box."""

from __future__ import annotations

import numpy as np
import torch

from Med3DCore.geometry import Geometry
from Med3DCore.labels import find_labels
from Med3DCore.models.package import ModelPackage
from Med3DCore.models.package_file import save_package
from Med3DCore.models.stage import Stage
from Med3DCore.networks import build_network
from Med3DCore.volume import Volume

GEOMETRY = Geometry((48, 44, 40), (1.5, 1.5, 2.0), (-50.0, -40.0, 10.0), (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0))


def make_volume():
    """A bright box in noise."""
    rng = np.random.default_rng(0)
    array = rng.normal(-60, 30, GEOMETRY.shape)
    array[12:28, 12:30, 14:34] += 140
    return Volume(array.astype(np.int16), GEOMETRY, "boxes")


def make_stage(name, labels, spacing, region=None, width=4, window=64, mirror=(), channels=(), depth=10):
    """A stage of a small network; ``channels`` name the images of a patient, if it takes several."""
    encoder = {"name": "resnet", "depth": depth, "width": width, "output_stride": 32, "stem_stride": 1}
    if channels:
        encoder["in_channels"] = len(channels)
    network = {"encoder": encoder, "decoder": {"name": "skip"}, "out_channels": len(labels)}
    preprocessing = {"spacing": [spacing] * 3, "intensity": {"name": "window", "low": -160, "high": 160}}
    if channels:
        preprocessing["intensity"]["channels"] = list(channels)
    return Stage(name, network, preprocessing, labels, "sigmoid", (window,) * 3, region, mirror=mirror)


def hand_set_weights(stage):
    """Weights that find what is bright, a voxel aside, so that a mirrored scan is not the same to the network.

    Of several images of a patient only the last counts.
    """
    network = build_network(stage.network)
    with torch.no_grad():
        stem, merge, logits = network.encoder.conv1, network.decoder.merge[-1][0][0], network.decoder.logits[0]
        for layer in (stem, merge, logits):
            layer.weight.zero_()
        stem.weight[0, -1, 3, 3, 2] = 1
        merge.weight[0, merge.in_channels - stem.out_channels, 1, 1, 1] = 1
        logits.weight[:, 0] = 20
        logits.bias.fill_(-4)
    return network.state_dict()


def save_model(folder, name, stages):
    """Write the package; returns its path."""
    package = ModelPackage(
        name=name,
        version="1.0.0",
        title=name,
        description="Boxes.",
        modality="CT",
        licence="CC0",
        labels=find_labels(stages[0].labels),
        stages=tuple(stages),
    )
    weights = {stage.name: hand_set_weights(stage) for stage in stages}
    return save_package(package, weights, folder, half=False)
