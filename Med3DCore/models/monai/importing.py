"""From a model of MONAI's Auto3DSeg to a package of ours."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from Med3DCore.errors import ModelError, SettingError
from Med3DCore.geometry import triple
from Med3DCore.io.label_names import distinct, label_of_words
from Med3DCore.labels import Label
from Med3DCore.models.archive import sha256_of
from Med3DCore.models.monai.configuration import network_description, preprocessing_description
from Med3DCore.models.monai.files import ModelFiles, described_labels, open_model
from Med3DCore.models.nnunet.checkpoint import Checkpoint
from Med3DCore.models.package import ModelPackage, name_from_title
from Med3DCore.models.stage import BACKGROUND, Stage

if TYPE_CHECKING:
    from torch import Tensor

Weights = dict[str, "Tensor"]
STAGE = "monai"
_ORIGIN = "MONAI's Auto3DSeg (segresnet)"
_MODALITIES = {"ct": "CT", "mri": "MR", "mr": "MR", "pet": "PT", "pt": "PT"}
_RENAMED = (
    (re.compile(r"^encoder\.conv_init\."), "encoder.stem."),
    (re.compile(r"^encoder\.layers\.(\d+)\.blocks\."), r"encoder.stages.\1."),
    (re.compile(r"^encoder\.layers\.(\d+)\.downsample\."), r"encoder.downs.\1."),
    (re.compile(r"^up_layers\.(\d+)\.upsample\.deconv\."), r"decoder.climbs.\1."),
    (re.compile(r"^up_layers\.(\d+)\.blocks\."), r"decoder.stages.\1."),
)
_HEAD = re.compile(r"^up_layers\.(\d+)\.head\.")


def import_monai(
    path: str | Path, name: str | None = None, version: str = "1.0.0", licence: str = "not stated", title: str = ""
) -> tuple[ModelPackage, dict[str, Weights]]:
    """Read a trained SegResNet of Auto3DSeg. Nothing of it is run.

    Args:
        path: ``model.pt``, a folder that holds it, or a zip of one.
        name: Of the package; by default the folder's, zip's or file's.
        version: Three numbers.
        licence: Of the weights; the file does not say it.
        title: Name shown to people.

    Returns:
        Its description and the weights of its stage, as :func:`.save_package` wants them.

    Raises:
        ModelError: It is damaged, of another network, or does not fit completely.
    """
    with open_model(Path(path)) as files:
        digest = sha256_of(files.file)
        files.file.seek(0)
        checkpoint = Checkpoint(files.file, files.name, _ORIGIN)
        config = _configuration(checkpoint)
        if config is None:
            raise ModelError(f"{files.name} has no configuration of {_ORIGIN}; give the model.pt that it wrote.")
        stage, labels = _understood(config, files)
        weights = _our_weights(checkpoint.weights("state_dict"), len(stage.network["encoder"]["channels"]) - 2)
        _check_fit(stage.network, weights, files.name)
    return ModelPackage(
        name=name or name_from_title(files.title),
        version=version,
        title=title or f"{files.title} (MONAI Auto3DSeg)",
        description=f"{len(labels)} labels; imported from MONAI's Auto3DSeg, {files.title}.",
        modality=_MODALITIES.get(str(config.get("modality")).lower(), "CT/MR"),
        licence=licence,
        labels=labels,
        stages=(stage,),
        provenance={"imported": {"source": files.name, "from": "MONAI Auto3DSeg", "sha256": digest}},
    ), {STAGE: weights}


def is_auto3dseg(path: str | Path) -> bool:
    """Whether a file is a ``model.pt`` of Auto3DSeg, and not an encoder's weights, which look alike by their name."""
    if not Path(path).is_file():
        return False
    try:
        with open_model(Path(path)) as files:
            return _configuration(Checkpoint(files.file, files.name, _ORIGIN)) is not None
    except ModelError:
        return False


def _configuration(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """What Auto3DSeg says of a network in its file; None of another file, which may have a configuration of its own."""
    config = checkpoint.content.get("config") if isinstance(checkpoint.content, Mapping) else None
    return config if isinstance(config, dict) and isinstance(config.get("network"), dict) else None


def _understood(config: dict[str, Any], files: ModelFiles) -> tuple[Stage, tuple[Label, ...]]:
    """The stage that a configuration describes, and its labels.

    Raises:
        ModelError: It holds something that is not known here.
    """
    try:
        network = network_description(config, files.name)
        preprocessing = preprocessing_description(config, files.name)
        regions, window = bool(config.get("sigmoid", False)), triple(int(size) for size in config["roi_size"])
        labels = _labels(config, network["out_channels"], regions, files.table)
        factors = [math.prod(steps) for steps in zip(*network["encoder"]["strides"], strict=True)]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        what = f"'{error.args[0]}' is missing" if isinstance(error, KeyError) else str(error)
        raise ModelError(f"{files.name} has a configuration that is not Auto3DSeg's ({what}); get it again.") from error
    if network["encoder"]["in_channels"] != len(preprocessing["intensity"]["channels"]):
        raise ModelError(f"{files.name} has another number of images in its network than in its configuration.")
    if any(size % factor for size, factor in zip(window, factors, strict=True)):
        raise ModelError(
            f"{files.name} has patches of {list(window)} voxels, which its network cannot halve; get it again."
        )
    names = tuple(label.name for label in labels)
    return (
        Stage(
            name=STAGE,
            network=network,
            preprocessing=preprocessing,
            labels=names if regions else (BACKGROUND, *names),
            activation="sigmoid" if regions else "softmax",
            window=window,
        ),
        labels,
    )


def _labels(config: dict[str, Any], classes: int, regions: bool, table: str) -> tuple[Label, ...]:
    """In the order of the channels: those of labels.csv, by the names of the configuration, or numbered."""
    count = classes if regions else classes - 1
    if not 0 < count < 256:
        raise ValueError(f"it has {count} labels")
    described = described_labels(table) if table and not regions else {}
    given = list(config.get("class_names") or [])
    names = given if len(given) == count and all(isinstance(each, str) for each in given) else []
    found = []
    for position in range(count):
        title = names[position] if names and not names[position].startswith("acc_") else f"label {position + 1}"
        found.append(described.get(position + 1) or label_of_words(title, position))
    return tuple(distinct(found))


def _our_weights(theirs: Weights, finest: int) -> Weights:
    """The tensors of a checkpoint under the names of our network, without the logits of coarser levels."""
    found = {}
    for key, tensor in theirs.items():
        name = key.removeprefix("module.")
        if head := _HEAD.match(name):
            if int(head[1]) != finest:
                continue
            name = f"decoder.last.{name[head.end() :]}"
        for pattern, ours in _RENAMED:
            name, count = pattern.subn(ours, name)
            if count:
                break
        found[name] = tensor
    return found


def _check_fit(network: dict, weights: Weights, name: str) -> None:
    """Refuse a checkpoint that is not completely that of its configuration's network."""
    import torch

    from Med3DCore.models.weights import compare
    from Med3DCore.networks import build_network

    try:
        with torch.device("meta"):
            fit = compare(build_network(network).state_dict(), weights)
    except SettingError as error:
        raise ModelError(f"The configuration in {name} describes no network that can be built: {error}") from error
    if not fit.is_complete:
        raise ModelError(
            f"The weights of {name} are not those of the network in its configuration: {fit.describe()}; get it again."
        )
