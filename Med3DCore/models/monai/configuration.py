"""What the configuration of an Auto3DSeg model says, as our descriptions of a network and a preprocessing."""

from __future__ import annotations

import math
from typing import Any

from Med3DCore.errors import ModelError

_NORMS = {"INSTANCE": "instance", "INSTANCE_NVFUSER": "instance", "BATCH": "batch"}
_ACTIVATIONS = {"RELU": "relu", "LEAKYRELU": "leaky_relu"}
_MODES = {
    "range": "range",
    "ct": "range",
    "meanstd": "z_score",
    "mri": "z_score",
    "meanstdtanh": "z_score_tanh",
    "pet": "pet",
    "none": "none",
}
_ONLY = {"spatial_dims": 3, "preprocess": None, "upsample_mode": "deconv"}
_KNOWN = {"init_filters", "in_channels", "out_channels", "act", "norm", "blocks_down", "blocks_up", "resolution"}
_WITHOUT_MEANING = {"_target_", "dsdepth"}  # logits of coarser levels are for training


def network_description(config: dict[str, Any], name: str) -> dict:
    """A network for :func:`.build_network`.

    Args:
        config: The whole configuration.
        name: What to call the model in messages.

    Raises:
        ModelError: It is of a class that is not known here, or has parts that are not.
        KeyError, TypeError, ValueError: The configuration is not that of Auto3DSeg.
    """
    given = {key: _resolved(value, config) for key, value in config["network"].items()}
    kind = str(given["_target_"]).rpartition(".")[2]
    if kind != "SegResNetDS":
        raise ModelError(f"{name} has a network of the class {kind}, which Med3D does not know; it knows SegResNetDS.")
    for key, usual in _ONLY.items():
        if given.get(key, usual) != usual:
            raise ModelError(f"{name} has a network with {key} {given[key]!r}, which Med3D does not know.")
    if unknown := sorted(set(given) - set(_ONLY) - _KNOWN - _WITHOUT_MEANING):
        raise ModelError(f"{name} has a network with the setting {unknown[0]}, which Med3D does not know.")
    first, blocks = int(given.get("init_filters", 32)), [int(count) for count in given.get("blocks_down", (1, 2, 2, 4))]
    levels = len(blocks)
    steps = _steps(given.get("resolution"), levels)
    kernels = [[3 if step > 1 else 1 for step in along] for along in steps]
    common = {
        "norm": _named(given.get("norm", "batch"), _NORMS, "norm", name),
        "activation": _named(given.get("act", "relu"), _ACTIVATIONS, "activation", name),
    }
    return {
        "encoder": {
            "name": "segresnet",
            "in_channels": int(given.get("in_channels", 1)),
            "channels": [first * 2**level for level in range(levels)],
            "kernels": kernels,
            "strides": [[1, 1, 1], *steps[:-1]],
            "blocks": blocks,
            **common,
        },
        "decoder": {
            "name": "segresnet",
            "kernels": kernels[-2::-1],
            "blocks": [int(count) for count in given.get("blocks_up") or [1] * (levels - 1)],
            **common,
        },
        "out_channels": int(given.get("out_channels", 2)),
    }


def preprocessing_description(config: dict[str, Any], name: str) -> dict:
    """A preprocessing for ``MonaiPreprocessing.from_dict``.

    Raises:
        ModelError: It holds something that is not known here.
        KeyError, TypeError, ValueError: The configuration is not that of Auto3DSeg.
    """
    if config.get("custom_data_transforms"):
        raise ModelError(
            f"{name} was taught with transforms of its own (custom_data_transforms), which are program code."
        )
    mode = config.get("normalize_mode") or ("range" if str(config.get("modality")).lower() == "ct" else "meanstd")
    modes = [mode, *dict(config.get("extra_modalities") or {}).values()]
    low, high = (float(value) for value in config.get("intensity_bounds") or (-250, 250))
    channels = []
    for each in modes:
        if each not in _MODES:
            raise ModelError(f"{name} normalises with '{each}', which Med3D does not know.")
        method = _MODES[each]
        channels.append({"method": method, **({"low": low, "high": high} if method == "range" else {})})
    spacing = config.get("resample_resolution")
    return {
        "name": "monai",
        "spacing": [float(value) for value in spacing or (1, 1, 1)],
        "intensity": {"name": "monai", "channels": channels},
        "orientation": "RAS" if config.get("orientation_ras", False) else "stored",
        "crop": bool(config.get("crop_foreground", True)),
        "resample": bool(config.get("resample", True)) and spacing is not None,
    }


def _resolved(value: Any, config: dict[str, Any]) -> Any:
    """A value that may name another one of the configuration, as ``"@output_classes"`` does."""
    return config[value[1:]] if isinstance(value, str) and value.startswith("@") else value


def _named(given: Any, known: dict[str, str], what: str, name: str) -> str:
    """Our name of a norm or activation, of its name or a list of it and its arguments."""
    kind, arguments = (given, {}) if isinstance(given, str) else (given[0], dict(given[1]))
    ordinary = {"inplace": (True, False), "affine": (True,), "eps": (1e-5,), "negative_slope": (0.01,)}
    strange = [key for key, value in arguments.items() if value not in ordinary.get(key, ())]
    if kind.upper() not in known or strange:
        raise ModelError(f"{name} has a network with the {what} {given}, which Med3D does not know.")
    return known[kind.upper()]


def _steps(resolution: Any, levels: int) -> list[list[int]]:
    """The step (x, y, z) from each level to the next: along axes of small spacing first, until all are alike."""
    if not resolution:
        return [[2, 2, 2]] * levels
    coarsest = max(resolution)
    halvings = [math.floor(math.log2(coarsest / float(spacing))) for spacing in resolution]
    most = max(halvings)
    return [[2 if level >= most or level < own else 1 for own in halvings] for level in range(levels)]
