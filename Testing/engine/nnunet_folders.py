"""Small models as nnU-Net v2 leaves them: plans.json, dataset.json and checkpoints with nnU-Net's names.

Weights are random, but of few channels and on smooth images, so that the labels are shapes and not noise. What nnU-Net
itself answers on them is in ``nnunet_answers.npz``, written by ``tools/nnunet_answers.py``.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
from nnunet_documents import architecture, write_checkpoint, write_documents
from scipy.ndimage import gaussian_filter

from Med3DCore.geometry import Geometry
from Med3DCore.io import write_volume
from Med3DCore.networks import build_network
from Med3DCore.volume import Volume

CHANNELS = [4, 8, 12]
EXCLUSIVE = {"background": 0, "liver": 1, "spleen": 2, "ball": 3}
REGIONS = {"background": 0, "whole": [1, 2], "core": [2, 3], "rim": 1, "ignore": 4}
LPS = (1, 0, 0, 0, 1, 0, 0, 0, 1)

# What nnU-Net was asked. Of each: changes of the plan, of the data set and of the scan, and how it predicts.
CASES: dict[str, dict] = {
    "ct": {"seed": 6, "folds": 2, "mirror": (0, 1, 2)},
    "two_channels": {
        "seed": 8,
        "network": "ResidualEncoderUNet",
        "schemes": ("ZScoreNormalization", "RescaleTo01Normalization"),
        "masks": (True, False),
        "transpose": (1, 0, 2),
        "mirror": (0, 2),
    },
    "regions": {
        "seed": 2,
        "labels": REGIONS,
        "spacing": (6.0, 2.0, 1.8),
        "scan_spacing": (1.6, 2.2, 7.0),
        "schemes": ("NoNormalization",),
    },
    "flat": {"seed": 8, "configuration": "2d", "schemes": ("ZScoreNormalization",), "mirror": (1,)},
    "old_plans": {
        "seed": 18,
        "configuration": "3d_lowres",
        "old": True,
        "reader": "NibabelIOWithReorient",
        "direction": (0, 0, 1, -1, 0, 0, 0, -1, 0),
    },
}


def write_results(
    folder: Path,
    configuration: str = "3d_fullres",
    network: str = "PlainConvUNet",
    labels: dict | None = None,
    schemes: tuple[str, ...] = ("CTNormalization",),
    masks: tuple[bool, ...] = (False, False),
    spacing: tuple[float, float, float] = (3.0, 2.0, 2.4),
    transpose: tuple[int, int, int] = (0, 1, 2),
    reader: str = "SimpleITKIO",
    old: bool = False,
    folds: int = 1,
    seed: int = 0,
    mirror: tuple[int, ...] = (),
    **_: object,
) -> Path:
    """A results folder below ``folder``; gives the model's own, which holds plans.json."""
    labels = labels or EXCLUSIVE
    flat = configuration == "2d"
    settings = {
        "patch_size": [16, 24] if flat else [16, 16, 24],
        "spacing": list(spacing[1:] if flat else spacing),
        "normalization_schemes": list(schemes),
        "use_mask_for_norm": list(masks[: len(schemes)]),
        **(_old_network(network) if old else {"architecture": _network(network, flat)}),
    }
    more = {
        "original_median_spacing_after_transp": list(spacing),
        "image_reader_writer": reader,
        "transpose_forward": list(transpose),
        "transpose_backward": [transpose.index(axis) for axis in range(3)],
    }
    data_set = {"labels": labels, **({"regions_class_order": [1, 3, 2]} if labels is REGIONS else {})}
    model = write_documents(folder, configuration, settings, data_set, len(schemes), **more)
    for fold in range(folds):
        classes = 3 if labels is REGIONS else len(labels)
        weights = their_weights(network, len(schemes), classes, flat, seed + fold)
        write_checkpoint(model / f"fold_{fold}" / "checkpoint_final.pth", weights, configuration, mirror)
    return model


def write_scan(
    folder: Path,
    schemes: tuple[str, ...] = ("CTNormalization",),
    direction: tuple[float, ...] = LPS,
    scan_spacing: tuple[float, float, float] = (2.0, 2.5, 2.2),
    **_: object,
) -> list[Path]:
    """Smooth images with air of exactly 0 around them, one a channel, named as nnU-Net wants them."""
    paths = []
    for number in range(len(schemes)):
        noise = np.random.default_rng(number).standard_normal((20, 24, 30))
        array = np.zeros((23, 28, 33), np.float32)
        array[1:21, 2:26, 1:31] = np.round(gaussian_filter(noise, 2.5) * 1500 + 60)
        paths.append(folder / f"scan_{number:04}.nii.gz")
        write_volume(
            Volume(array, Geometry(array.shape[::-1], scan_spacing, (5.0, -8.0, 3.0), direction), "scan"), paths[-1]
        )
    return paths


def their_weights(network: str, channels: int, classes: int, flat: bool, seed: int) -> dict[str, torch.Tensor]:
    """Random weights of a tiny network, under all the names that nnU-Net's own network gives them."""
    kernels, strides = _sizes(flat)
    kernels, strides = ([[1] * (3 - len(size)) + size for size in sizes] for sizes in (kernels, strides))
    plain = network == "PlainConvUNet"
    counts = {"convs": [1, 2, 1]} if plain else {"blocks": [1, 2, 1]}
    encoder = {"name": "plain_conv" if plain else "residual", "in_channels": channels, "channels": CHANNELS}
    decoder = {"name": "nnunet", "kernels": kernels[-2::-1], "convs": [1, 1]}
    torch.manual_seed(seed)
    ours = build_network(
        {
            "encoder": {**encoder, **counts, "kernels": kernels, "strides": strides},
            "decoder": decoder,
            "out_channels": classes,
        }
    ).state_dict()
    theirs = {}
    for key, tensor in ours.items():
        if "norm" in key:
            tensor += torch.randn(tensor.shape) / 2
        if key.startswith("decoder.logits.") and tensor.ndim == 5:  # so that no class wins everywhere
            tensor -= tensor.mean(dim=1, keepdim=True)
        if flat and tensor.ndim == 5:
            tensor = tensor[:, :, 0].clone()
        name = _their_name(key, plain)
        for called in (name, f"decoder.{name}" if name.startswith("encoder.") else name):
            theirs[called] = tensor
            if re.search(r"\.(conv|norm)\.\w+$", called):
                theirs[re.sub(r"\.(conv|norm)(\.\w+)$", _again, called)] = tensor
    return theirs


def _their_name(key: str, plain: bool) -> str:
    key = re.sub(
        r"^encoder\.stages\.(\d)\.", r"encoder.stages.\1.0.convs." if plain else r"encoder.stages.\1.blocks.", key
    )
    key = key.replace(".skip.", ".skip.1.").replace("encoder.stem.", "encoder.stem.convs.")
    key = re.sub(r"^decoder\.stages\.(\d)\.", r"decoder.stages.\1.convs.", key)
    return key.replace("decoder.climbs.", "decoder.transpconvs.").replace("decoder.logits.", "decoder.seg_layers.")


def _again(match: re.Match) -> str:
    """The same layer's name in the list of all layers of its block."""
    return f".all_modules.{0 if match[1] == 'conv' else 1}{match[2]}"


def _sizes(flat: bool) -> tuple[list[list[int]], list[list[int]]]:
    """Kernels and strides of the stages."""
    if flat:
        return [[3, 3]] * 3, [[1, 1], [2, 2], [2, 2]]
    return [[1, 3, 3], [3, 3, 3], [3, 3, 3]], [[1, 1, 1], [1, 2, 2], [2, 2, 2]]


def _network(network: str, flat: bool) -> dict:
    kernels, strides = _sizes(flat)
    counted = "n_conv_per_stage" if network == "PlainConvUNet" else "n_blocks_per_stage"
    return architecture(network, CHANNELS, kernels, strides, **{counted: [1, 2, 1], "n_conv_per_stage_decoder": [1, 1]})


def _old_network(network: str) -> dict:
    """As plans before nnU-Net 2.3 describe it; features then double from stage to stage."""
    kernels, strides = _sizes(flat=False)
    return {
        "UNet_class_name": network,
        "UNet_base_num_features": CHANNELS[0],
        "unet_max_num_features": CHANNELS[-1],
        "n_conv_per_stage_encoder": [1, 2, 1],
        "n_conv_per_stage_decoder": [1, 1],
        "conv_kernel_sizes": kernels,
        "pool_op_kernel_sizes": strides,
        "num_pool_per_axis": [1, 2, 2],
    }
