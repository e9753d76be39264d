"""What nnU-Net's plans.json and dataset.json say, as our descriptions of a network, a preprocessing and labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from Med3DCore.errors import ModelError
from Med3DCore.geometry import triple
from Med3DCore.models.nnunet.architecture import network_description

# What resamples images and logits, and the orders of interpolation of functions that are not asked for them.
_RESAMPLERS: dict[str, dict] = {
    "resample_data_or_seg_to_shape": {},
    "resample_torch_fornnunet": {"order": 1, "order_z": 0},
    "no_resampling_data_or_seg_to_shape": {"order": None},
}
_SCHEMES = {
    "CTNormalization": "window",
    "CT": "window",
    "ZScoreNormalization": "z_score",
    "nonCT": "z_score",
    "RescaleTo01Normalization": "range",
    "RGBTo01Normalization": "rgb",
    "NoNormalization": "none",
}
_MOST_LABELS = 255


@dataclass(frozen=True)
class Plan:
    """One configuration of nnU-Net, in our words.

    Args:
        network: For :func:`.build_network`.
        preprocessing: For ``NnunetPreprocessing.from_dict``.
        labels: Names of the output channels, in their order; with exclusive classes, ``"background"`` first. Regions
            in the order in which they are painted.
        window: Patch (z, y, x) of the network.
        regions: Whether a voxel may have several of the labels (sigmoid), or has one (softmax).
        values: Value of each label in nnU-Net's own label maps.
        channels: Names of the input channels.
    """

    network: dict
    preprocessing: dict
    labels: tuple[str, ...]
    window: tuple[int, int, int]
    regions: bool
    values: dict[str, int]
    channels: tuple[str, ...]


def read_plan(plans: dict[str, Any], data_set: dict[str, Any], configuration: str, name: str) -> Plan:
    """Understand a configuration completely, or refuse it.

    Args:
        plans: Content of plans.json, with the ``architecture`` of nnU-Net 2.3 and later or without it.
        data_set: Content of dataset.json.
        configuration: Such as ``"3d_fullres"``.
        name: What to call the model in messages.

    Raises:
        ModelError: It is of another version, a cascade, or holds something that is not known here.
    """
    try:
        return _read(plans, data_set, configuration, name)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        what = f"'{error.args[0]}' is missing" if isinstance(error, KeyError) else str(error)
        raise ModelError(
            f"plans.json and dataset.json of {name} are not those of a model of nnU-Net v2 ({what}); copy them again."
        ) from error


def _read(plans: dict[str, Any], data_set: dict[str, Any], configuration: str, name: str) -> Plan:
    if "plans_per_stage" in plans or "configurations" not in plans:
        raise ModelError(f"plans.json of {name} is not of nnU-Net v2; models of v1 must be trained anew, or converted.")
    if "modality" in data_set:
        raise ModelError(f"dataset.json of {name} is of nnU-Net v1 (it has 'modality'); only models of v2 are read.")
    settings = _configuration(plans, configuration, name)
    if settings.get("previous_stage"):
        raise ModelError(
            f"{name} is the second part of a cascade ({configuration}), which needs what {settings['previous_stage']} "
            "found; import its model 3d_fullres or 3d_lowres instead."
        )
    channel_names = data_set["channel_names"]
    channels = tuple(str(channel_names[key]) for key in sorted(channel_names, key=int))
    labels, values, regions = _labels(data_set, name)
    if len(values) > _MOST_LABELS:
        raise ModelError(f"{name} has {len(values)} labels; Med3D's label maps hold {_MOST_LABELS}.")
    flat = len(settings["patch_size"]) == 2
    window = [1, *settings["patch_size"]] if flat else settings["patch_size"]
    return Plan(
        network=network_description(settings, len(channels), len(labels), flat, name),
        preprocessing=_preprocessing(plans, settings, channels, flat, name),
        labels=labels,
        window=triple(int(size) for size in window),
        regions=regions,
        values=values,
        channels=channels,
    )


def _configuration(plans: dict[str, Any], configuration: str, name: str) -> dict[str, Any]:
    """The settings of a configuration, with those that it inherits."""
    known, chain = plans["configurations"], [configuration]
    settings: dict[str, Any] = {}
    if configuration not in known:
        raise ModelError(f"plans.json of {name} has no configuration '{configuration}'; it has {', '.join(known)}.")
    while chain[-1] is not None:
        own = known[chain[-1]]
        settings = {**own, **settings}
        chain.append(own.get("inherits_from"))
        if chain[-1] in chain[:-1]:
            raise ValueError("configurations inherit from each other")
    return settings


def _preprocessing(
    plans: dict[str, Any], settings: dict[str, Any], channels: tuple[str, ...], flat: bool, name: str
) -> dict:
    transpose = [int(axis) for axis in plans["transpose_forward"]]
    if sorted(transpose) != [0, 1, 2]:
        raise ValueError(f"transpose_forward is {transpose}")
    along = [float(value) for value in settings["spacing"]]
    if flat:
        along = [float(plans["original_median_spacing_after_transp"][0]), *along]
    spacing = [0.0] * 3
    for axis, value in zip(transpose, along, strict=True):
        spacing[axis] = value
    reorients = plans.get("image_reader_writer") == "NibabelIOWithReorient"
    return {
        "name": "nnunet",
        "spacing": spacing[::-1],
        "intensity": {"name": "nnunet", "channels": _intensities(plans, settings, len(channels), name)},
        "transpose": transpose,
        "orientation": "RAS" if reorients else "stored",
        "flat": flat,
        "image": _resampling(settings, "resampling_fn_data", 3, name),
        "logits": _resampling(settings, "resampling_fn_probabilities", 1, name),
    }


def _resampling(settings: dict[str, Any], key: str, order: int, name: str) -> dict:
    function = settings.get(key, "resample_data_or_seg_to_shape")
    if function not in _RESAMPLERS:
        raise ModelError(f"{name} resamples with '{function}', which Med3D does not know.")
    given = settings.get(f"{key}_kwargs") or {}
    found = {"order": given.get("order", order), "order_z": given.get("order_z", 0), **_RESAMPLERS[function]}
    if found["order"] not in (None, 0, 1, 3) or found["order_z"] not in (0, 1) or (order == 1 and found["order"] == 3):
        raise ModelError(f"{name} resamples with order {found['order']} ({found['order_z']}), which is not known here.")
    return {**found, "separate": given.get("force_separate_z")}


def _intensities(plans: dict[str, Any], settings: dict[str, Any], channels: int, name: str) -> list[dict]:
    found = []
    properties = plans.get("foreground_intensity_properties_per_channel")
    properties = properties or plans.get("foreground_intensity_properties_by_modality") or {}
    schemes, masks = settings["normalization_schemes"], settings["use_mask_for_norm"]
    for channel in range(channels):
        scheme = schemes[channel]
        if scheme not in _SCHEMES:
            raise ModelError(f"{name} normalises with '{scheme}', which Med3D does not know.")
        entry: dict = {"method": _SCHEMES[scheme]}
        if entry["method"] == "window":
            known = properties[str(channel)]
            keys = {"low": "percentile_00_5", "high": "percentile_99_5", "mean": "mean", "sd": "std"}
            entry |= {ours: float(known[theirs]) for ours, theirs in keys.items()}
            entry["sd"] = max(entry["sd"], 1e-8)
        elif entry["method"] == "z_score":
            entry["nonzero"] = bool(masks[channel])
        found.append(entry)
    return found


def _labels(data_set: dict[str, Any], name: str) -> tuple[tuple[str, ...], dict[str, int], bool]:
    """Names in the order of the network's channels, values, and whether they are regions."""
    given = {key: value for key, value in data_set["labels"].items() if key not in ("ignore", "background")}
    if any(isinstance(value, list) and len(value) > 1 for value in given.values()):
        names, painted = list(given), [int(value) for value in data_set["regions_class_order"]]
        if len(painted) != len(names):
            raise ValueError("regions_class_order has another length than the regions")
        return tuple(names), dict(zip(names, painted, strict=True)), True
    values = {key: int(value[0] if isinstance(value, list) else value) for key, value in given.items()}
    names = sorted(values, key=values.__getitem__)
    if not names or [values[key] for key in names] != list(range(1, len(names) + 1)):
        raise ModelError(f"The labels of {name} are not numbered 1, 2, 3, ...; nnU-Net itself would not take them.")
    return ("background", *names), values, False
