"""A body of two boxes, a bright "liver" and dark "lungs", as a data set; a recipe and a model of small networks."""

import json
from dataclasses import replace

import numpy as np
import torch

from Med3DCore.geometry import Geometry
from Med3DCore.inference.device import Device
from Med3DCore.io import write_volume
from Med3DCore.labels import find_labels
from Med3DCore.models.package import ModelPackage
from Med3DCore.models.package_file import load_package, save_package
from Med3DCore.models.stage import Stage
from Med3DCore.networks import build_network
from Med3DCore.training.cases.case import UNKNOWN
from Med3DCore.training.cases.description import read_cases
from Med3DCore.training.fine_tuning.held_out import AUTOMATIC
from Med3DCore.training.learning.recipe import read_recipe
from Med3DCore.training.segmentation import trainer
from Med3DCore.volume import Volume

CPU = Device("cpu", "CPU", torch.float32, "test")
SIZE, SPACING = (30, 28, 24), (4.0, 4.0, 4.0)
VALUES = {"liver": 1, "lungs": 2}


def write_case(folder, name, seed, annotated=("liver", "lungs"), unknown=False, **entry):
    """A body with a bright 'liver' box and a dark 'lungs' box; returns its entry of the data set description."""
    rng = np.random.default_rng(seed)
    hu = np.full(SIZE[::-1], 0, np.int16) + rng.normal(0, 8, SIZE[::-1]).astype(np.int16)
    label = np.zeros(SIZE[::-1], np.uint8)
    z, y, x = rng.integers(2, 6, 3)
    for value, place, level in (
        (1, np.s_[z : z + 8, y : y + 12, x : x + 10], 120),
        (2, np.s_[14:22, y : y + 14, 14:26], -700),
    ):
        hu[place] += level
        label[place] = value
    for value, organ in ((1, "liver"), (2, "lungs")):
        if organ not in annotated:
            label[label == value] = UNKNOWN if unknown else 0
    geometry = Geometry(SIZE, SPACING)
    write_volume(Volume(hu, geometry), folder / f"{name}_ct.nii.gz")
    write_volume(Volume(label, geometry), folder / f"{name}_seg.nii.gz")
    return {
        "name": name,
        "image": f"{name}_ct.nii.gz",
        "label": f"{name}_seg.nii.gz",
        "values": dict(VALUES),
        "annotated": list(annotated),
        "source": {"data": "boxes", "licence": "CC0", "labels": "exact"},
        **entry,
    }


def write_data(folder, entries):
    path = folder / "dataset.json"
    path.write_text(json.dumps({"cases": entries}))
    return path


def write_boxes(folder):
    """Two training cases, the second with a liver alone, and one to check on; returns the description."""
    entries = [
        write_case(folder, "a", 1),
        write_case(folder, "b", 2, ("liver",), unknown=True),
        write_case(folder, "c", 3, split="validation"),
    ]
    return write_data(folder, entries)


def write_recipe(folder, **training):
    settings = {"steps": 6, "patch": [24, 24, 24], "batch": 2, "validate_every": 2, "warmup": 1, **training}
    stage = {
        "name": "only",
        "network": {
            "encoder": {"name": "resnet", "depth": 10, "width": 8, "output_stride": 32, "stem_stride": 1},
            "decoder": {"name": "skip", "channels": [16, 16, 8, 8]},
            "out_channels": 2,
        },
        "preprocessing": {"spacing": [4.0, 4.0, 4.0], "intensity": {"name": "window", "low": -160, "high": 160}},
        "labels": ["liver", "lungs"],
        "activation": "sigmoid",
        "window": [32, 32, 32],
        "training": settings,
    }
    model = {
        "name": "boxes",
        "version": "0.0.1",
        "title": "Boxes",
        "description": "Boxes in boxes.",
        "modality": "CT",
        "labels": ["liver", "lungs"],
        "licence": "CC0",
    }
    path = folder / "recipe.json"
    path.write_text(json.dumps({"seed": 5, "model": model, "stages": [stage]}))
    return path


def save_parent(folder, labels=("liver", "lungs")):
    """A model of a coarse stage and a fine one for each label, with random weights that find something."""
    stages = [_stage("coarse", 8.0, labels, None)]
    stages += [_stage(name, 4.0, (name,), {"stage": "coarse", "margin_mm": 16.0}) for name in labels]
    about = {"title": "Tiny", "description": "Boxes.", "modality": "CT", "licence": "CC0"}
    package = ModelPackage(name="tiny", version="1.0.0", labels=find_labels(labels), stages=tuple(stages), **about)
    return load_package(save_package(package, {stage.name: _weights(stage) for stage in stages}, folder))


def _stage(name, spacing, labels, region):
    encoder = {"name": "resnet", "depth": 10, "width": 4, "output_stride": 32, "stem_stride": 1}
    network = {"encoder": encoder, "decoder": {"name": "skip"}, "out_channels": len(labels)}
    preprocessing = {"spacing": [spacing] * 3, "intensity": {"name": "window", "low": -160, "high": 160}}
    return Stage(name, network, preprocessing, tuple(labels), "sigmoid", (32, 32, 32), region)


def _weights(stage):
    """Random, with a bias by which each label fills about a third of noise."""
    torch.manual_seed(1)
    network = build_network(stage.network).eval()
    with torch.inference_mode():
        logits = network(torch.randn(1, 1, 32, 32, 32))[0]
        network.decoder.logits[0].bias -= logits.flatten(1).quantile(0.7, dim=1)
    return network.state_dict()


def boxes(folder, count=3, annotated=("liver",), rename=None):
    """Cases of which nobody said what they are for; ``rename`` gives the labels other names."""
    names = [f"Doe, Jane {i}" for i in range(count)]
    entries = [write_case(folder, f"p{i}", i, split="training") | {"name": name} for i, name in enumerate(names)]
    cases = read_cases(write_data(folder, entries))
    rename = rename or {}
    return [
        replace(
            case,
            split=AUTOMATIC,
            values={rename.get(k, k): v for k, v in case.values.items()},
            annotated=annotated,
            patient=case.name,
        )
        for case in cases
    ]


def command(data, recipe, folder, *more):
    """What ``med3d train`` is called with."""
    return ["train", str(recipe), str(data), "-o", str(folder), "--device", "cpu", "--quiet", "--no-cache", *more]


def changed(path, change):
    """The recipe after a change of its values."""
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    return path


def exclusive(values):
    """Make the labels of the first stage exclude each other."""
    stage = values["stages"][0]
    stage |= {"activation": "softmax", "labels": ["background", *stage["labels"]]}
    stage["network"]["out_channels"] = 3


def train(data, recipe_path, folder, progress=None, initial=None):
    """Train the first stage of a recipe."""
    recipe = read_recipe(recipe_path)
    return trainer.train_stage(recipe.stages[0], read_cases(data), folder, recipe.seed, CPU, progress, initial)


def second_stage(values, **changes):
    """Add a stage that looks closer where the first one found something."""
    stage = values["stages"][0]
    values["stages"].append({**stage, "name": "fine", "region": {"stage": "only", "margin_mm": 20}, **changes})
