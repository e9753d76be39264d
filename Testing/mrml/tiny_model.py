"""A model package of two small networks with random weights, and a scan in which they find something."""

import numpy as np
import torch

from Med3DCore.geometry import Geometry
from Med3DCore.labels import find_labels
from Med3DCore.models.package import ModelPackage
from Med3DCore.models.package_file import save_package
from Med3DCore.models.stage import Stage
from Med3DCore.networks import build_network
from Med3DCore.preprocessing import Preprocessing
from Med3DCore.volume import Volume

LABELS = ("liver", "lungs")
GEOMETRY = Geometry((48, 44, 40), (1.5, 1.5, 2.0), (-50.0, -40.0, 10.0), (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
INTENSITY = {"name": "window", "low": -160, "high": 160}


def makeScan():
    """A bright box in noise."""
    array = np.random.default_rng(0).normal(-60, 30, GEOMETRY.shape)
    array[12:28, 12:30, 14:34] += 140
    return Volume(array.astype(np.int16), GEOMETRY, "boxes")


def saveModel(folder):
    """Write the package; returns its path."""
    stages = (_stage("coarse", 4.0, None), _stage("fine", 2.0, {"stage": "coarse", "margin_mm": 6.0}))
    about = {"title": "Tiny", "description": "Boxes.", "modality": "CT", "licence": "CC0"}
    package = ModelPackage(name="tiny", version="1.0.0", labels=find_labels(LABELS), stages=stages, **about)
    return save_package(package, {stage.name: _weights(stage) for stage in stages}, folder, half=False)


def _stage(name, spacing, region):
    labels = LABELS if region is None else LABELS[:1]
    encoder = {"name": "resnet", "depth": 10, "width": 4, "output_stride": 32, "stem_stride": 1}
    network = {"encoder": encoder, "decoder": {"name": "skip"}, "out_channels": len(labels)}
    preprocessing = {"spacing": [spacing] * 3, "intensity": INTENSITY}
    return Stage(name, network, preprocessing, labels, "sigmoid", (64,) * 3, region)


def _weights(stage):
    """Random, with a bias by which each label fills about a third of the scan."""
    torch.manual_seed(32)  # both labels are found, and none is doubted so much that it is looked at twice
    network = build_network(stage.network).eval()
    seen = Preprocessing.from_dict({"spacing": [4.0] * 3, "intensity": INTENSITY}).apply(makeScan())
    with torch.inference_mode():
        logits = network(torch.from_numpy(seen.array)[None, None])[0]
        network.decoder.logits[0].bias -= logits.flatten(1).quantile(0.7, dim=1)
    return network.state_dict()
