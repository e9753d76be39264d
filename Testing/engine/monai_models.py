"""Small models as MONAI's Auto3DSeg leaves them: model.pt with configuration and weights, labels.csv beside it.

Weights are random, on smooth images, so that the labels are shapes and not noise. What MONAI itself answers on them is
in ``monai_answers.npz``, written by ``tools/monai_answers.py``.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from Med3DCore.geometry import Geometry
from Med3DCore.io import write_volume
from Med3DCore.models.monai.configuration import network_description
from Med3DCore.networks import build_network
from Med3DCore.volume import Volume

CODED = "SegmentedProperty{}CodeSequence.{}"
_THEIRS = (
    (r"^encoder\.stem\.", "encoder.conv_init."),
    (r"^encoder\.stages\.(\d)\.", r"encoder.layers.\1.blocks."),
    (r"^encoder\.downs\.(\d)\.", r"encoder.layers.\1.downsample."),
    (r"^decoder\.climbs\.(\d)\.", r"up_layers.\1.upsample.deconv."),
    (r"^decoder\.stages\.(\d)\.", r"up_layers.\1.blocks."),
    (r"^decoder\.last\.", "up_layers.1.head."),
)

# What MONAI was asked. Of each: changes of the configuration, of the network and of the scan.
CASES: dict[str, dict] = {
    "ct": {"seed": 4},
    "channels": {
        "seed": 5,
        "config": {
            "modality": "mri",
            "normalize_mode": "meanstd",
            "extra_modalities": {"image2": "meanstdtanh"},
            "orientation_ras": False,
            "resample": False,
            "class_names": ["whole", "core"],
            "sigmoid": True,
        },
        "network": {"norm": "BATCH", "out_channels": 2, "in_channels": 2, "resolution": [1.0, 1.0, 2.5]},
        "direction": (0, 0, 1, -1, 0, 0, 0, -1, 0),
    },
}


def write_model(
    folder: Path, config: dict | None = None, network: dict | None = None, seed: int = 0, **_: object
) -> Path:
    """A folder with model.pt and labels.csv."""
    settings = {
        "modality": "ct",
        "normalize_mode": "range",
        "intensity_bounds": [-200, 250],
        "orientation_ras": True,
        "crop_foreground": True,
        "resample": True,
        "resample_resolution": [3.0, 3.0, 3.0],
        "roi_size": [16, 16, 12],
        "class_names": ["acc_0", "acc_1", "acc_2"],
        "extra_modalities": {},
        "input_channels": 1,
        "network": {
            "_target_": "SegResNetDS",
            "init_filters": 4,
            "blocks_down": [1, 2, 1],
            "norm": ["INSTANCE", {"affine": True}],
            "act": ["relu", {"inplace": False}],
            "in_channels": "@input_channels",
            "out_channels": 4,
            "dsdepth": 2,
            **(network or {}),
        },
        **(config or {}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "epoch": 7,
        "best_metric": np.float64(0.5),
        "config": settings,
        "state_dict": _their_weights(settings, seed),
    }
    torch.save(content, folder / "model.pt")
    (folder / "labels.csv").write_text(_table())
    return folder


def write_scan(
    folder: Path, network: dict | None = None, direction: tuple[float, ...] = (1, 0, 0, 0, 1, 0, 0, 0, 1), **_: object
) -> list[Path]:
    """Smooth images, one a channel; only a part of each is above 0."""
    paths = []
    for number in range((network or {}).get("in_channels", 1)):
        noise = np.random.default_rng(number).standard_normal((24, 28, 34))
        array = np.full((24, 28, 46), -900, np.float32)
        array[:, :, :34] = np.round(gaussian_filter(noise, 2.5) * 1500 + 20)
        paths.append(folder / f"scan_{number}.nii.gz")
        grid = Geometry(array.shape[::-1], (2.0, 2.5, 1.7), (5.0, -8.0, 3.0), direction)
        write_volume(Volume(array, grid, "scan"), paths[-1])
    return paths


def _their_weights(settings: dict, seed: int) -> dict[str, torch.Tensor]:
    """Random weights under MONAI's names, with logits of a coarser level, which only training uses."""
    torch.manual_seed(seed)
    description = network_description(settings, "test")
    theirs = {}
    for key, tensor in build_network(description).state_dict().items():
        if "norm" in key and tensor.is_floating_point():
            tensor += tensor.new_empty(tensor.shape).uniform_(0, 1)
        if key == "decoder.last.weight":  # so that labels are decided, and no class wins everywhere
            tensor -= tensor.mean(dim=1, keepdim=True)
            tensor *= 8
        for ours, name in _THEIRS:
            key = re.sub(ours, name, key)
        theirs[key] = tensor
    channels, classes = description["encoder"]["channels"], description["out_channels"]
    theirs["up_layers.0.head.weight"] = torch.zeros(classes, channels[1], 1, 1, 1)
    theirs["up_layers.0.head.bias"] = torch.zeros(classes)
    return theirs


def _table() -> str:
    """As SlicerMONAIAuto3DSeg describes labels."""
    parts = [
        (of, what)
        for of in ("Category", "Type", "TypeModifier")
        for what in ("CodingSchemeDesignator", "CodeValue", "CodeMeaning")
    ]
    rows = [["LabelValue", "Name", *(CODED.format(*part) for part in parts)]]
    structure = ["SCT", "123037004", "Anatomical Structure"]
    rows.append(["1", "Left Kidney", *structure, "SCT", "64033007", "Kidney", "SCT", "7771000", "Left"])
    rows.append(["2", "Liver", *structure, "SCT", "10200004", "Liver"])
    rows.append(["3", "Something", *structure, "SCT", "999", "Something", "", "", ""])
    return "\n".join(",".join(row) for row in rows) + "\n"
