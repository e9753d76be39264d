"""Where a training starts: random weights, another model's, or a pre-trained encoder (papers.md A5, A7)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.errors import ModelError
from Med3DCore.models import Catalogue
from Med3DCore.models.checkpoints import adapt_channels, import_checkpoint
from Med3DCore.models.inflation import WAYS, inflate, is_flat
from Med3DCore.models.kinds import ENCODER
from Med3DCore.models.package import ModelPackage
from Med3DCore.models.weights import compare, load_into

if TYPE_CHECKING:
    from torch import Tensor

    from Med3DCore.models.stage import Stage
    from Med3DCore.networks.average import Average
    from Med3DCore.networks.network import Network

SCRATCH = "scratch"
_CHECKPOINTS = (".pth", ".pt", ".tar", ".ckpt")
_PREFIX = "encoder."


@dataclass(frozen=True)
class Start:
    """The weights that a stage starts from.

    Args:
        weights: By the names of the stage's network: all of them, or those of the encoder alone
            (``"encoder.conv1.weight"``, ...); None for random ones.
        source: What they are, such as ``"the encoder of phantoms8-0.1.0"``.
        provenance: What the package that they are of says of its own data and training; empty for none.
        warning: A sentence where the encoder learned from other images than the stage will see; empty for none.
    """

    weights: dict[str, Tensor] | None
    source: str
    provenance: dict = field(default_factory=dict, repr=False)
    warning: str = ""


def is_checkpoint(source: str) -> bool:
    """Whether a start is a file of bare weights, such as MedicalNet's, and not a model package."""
    return Path(source).name.endswith(_CHECKPOINTS)


def split_way(source: str) -> tuple[str, str]:
    """How to use 2D weights, ``""`` if nothing is said, and the model itself, of ``WAY:MODEL``.

    Examples:
        >>> split_way("i3d:resnet18.pth")
        ('i3d', 'resnet18.pth')
    """
    way, colon, model = source.partition(":")
    return (way, model) if colon and way in WAYS else ("", source)


def find_start(source: str | None, stage: Stage, catalogue: Catalogue | None = None) -> Start:
    """Find the weights that a user asks for.

    Args:
        source: ``"scratch"`` (or None); a file of :func:`.import_checkpoint` (``.pth``, ``.pt``); or a model
            package by name or file: of an encoder, or of a pipeline, whose stage of the same name and network is taken.
            Before a 2D ResNet (torchvision's, or a flat encoder) stands how to use it: ``i3d:``, ``acs:`` or ``2.5d:``.
        stage: The stage to train.
        catalogue: Where packages are found by name; the user's by default.

    Raises:
        ModelError: There is no such model, or its encoder does not fit the stage's; with counts and names.

    Examples:
        >>> find_start("scratch", None).source
        'random weights'
    """
    if source in (None, SCRATCH):
        return Start(None, "random weights")
    way, source = split_way(source)
    said = f", {way} from 2D" if way else ""
    if is_checkpoint(source):
        encoder, name = import_checkpoint(source), Path(source).name
        weights = _fitted(_in_3d(encoder.state_dict, way, stage, name), encoder.spec, stage, name)
        return Start(weights, f"the encoder in {name}{said}", warning=_other_images(encoder.preprocessing, stage, name))
    package = (catalogue or Catalogue()).find(source)
    if package.encoder is not None:
        name = package.reference
        weights = _fitted(_in_3d(package.read_weights(ENCODER), way, stage, name), package.encoder, stage, name)
        warning = _other_images(package.provenance.get("preprocessing"), stage, name)
        return Start(weights, f"the encoder {name}{said}", package.provenance, warning)
    if way:
        raise ModelError(f"{package.reference} is no 2D encoder, so '{way}:' makes no sense before it; leave that out.")
    return _same_stage(package, stage)


def find_starts(source: str | None, stages: Sequence[Stage], catalogue: Catalogue | None = None) -> list[Start]:
    """What :func:`find_start` finds for every stage of a recipe.

    Raises:
        ModelError: As :func:`find_start`, or a model was asked for that fits none of them.
    """
    starts = [find_start(source, stage, catalogue) for stage in stages]
    if source not in (None, SCRATCH) and all(start.weights is None for start in starts):
        names = ", ".join(f"'{stage.name}'" for stage in stages)
        raise ModelError(
            f"{source} has none of the recipe's stages ({names}) with the same network, so nothing would start from "
            "it; give a model or an encoder that fits, or leave --init out."
        )
    return starts


def digest(weights: dict[str, Tensor]) -> str:
    """SHA-256 of weights, names included."""
    found = hashlib.sha256()
    for name in sorted(weights):
        found.update(name.encode())
        found.update(weights[name].float().contiguous().numpy().tobytes())
    return found.hexdigest()


def is_encoder_alone(weights: dict[str, Tensor]) -> bool:
    """Whether the weights of a :class:`Start` are the encoder's and no decoder's."""
    return all(key.startswith(_PREFIX) for key in weights)


def set_weights(network: Network | Average, weights: dict[str, Tensor], name: str) -> None:
    """Give a network the weights of a :class:`Start`; where they are the encoder's alone, the decoder keeps its own.

    Raises:
        ModelError: They do not fit; nothing is changed then.
    """
    if is_encoder_alone(weights):
        for encoder in network.encoders():
            load_into(encoder, {key.removeprefix(_PREFIX): value for key, value in weights.items()}, name)
    else:
        load_into(network, weights, name)


def network_of(stage: Stage, weights: dict[str, Tensor] | None) -> Network | Average:
    """The network of a stage, from the weights of a :class:`Start` or, of None, with random ones.

    Raises:
        ModelError: They do not fit.
    """
    from Med3DCore.networks import build_network

    network = build_network(stage.network)
    if weights is not None:
        set_weights(network, weights, f"the network to start from for stage {stage.name}")
    return network


def _in_3d(weights: dict[str, Tensor], way: str, stage: Stage, name: str) -> dict[str, Tensor]:
    """An encoder's weights, inflated if they are of a 2D network."""
    if is_flat(weights) and way:
        return inflate(weights, way)
    if not way and (not is_flat(weights) or stage.network["encoder"].get("flat")):
        return weights
    if way:
        raise ModelError(f"{name} is a 3D encoder already, so '{way}:' makes no sense before it; leave that out.")
    raise ModelError(
        f"{name} is a 2D ResNet; say how to use it in 3D: i3d:{name}, acs:{name} or 2.5d:{name} "
        "(repeated along z, turned into three planes, or within its slice)."
    )


def _fitted(weights: dict[str, Tensor], spec: dict, stage: Stage, name: str) -> dict[str, Tensor]:
    """Weights of an encoder under a network's names, with as many input channels as the stage has."""
    from Med3DCore.networks import build_network

    wanted = build_network(stage.network).encoders()[0].state_dict()
    if "conv1.weight" in weights and weights["conv1.weight"].ndim == 5:
        kernel = adapt_channels(weights["conv1.weight"], wanted["conv1.weight"].shape[1])
        weights = {**weights, "conv1.weight": kernel}
    fit = compare(wanted, weights)
    if not fit.is_complete:
        raise ModelError(
            f"The encoder of {name} is not the one of stage '{stage.name}' ({_described(stage.network['encoder'])}): "
            f"{fit.describe()}; give the stage the same ({_described(spec)})."
        )
    return {_PREFIX + key: value for key, value in weights.items()}


def _described(encoder: dict) -> str:
    keys = ("name", "depth", "width", "shortcut", "stem_slices", "stem_stride")
    return ", ".join(f"{key} {encoder[key]}" for key in keys if key in encoder)


def _other_images(learned: object, stage: Stage, name: str) -> str:
    """A warning where an encoder learned from images of another spacing or intensity than a stage's; empty for none."""
    own = stage.preprocessing
    if not isinstance(learned, dict) or all(own[key] == learned.get(key) for key in ("spacing", "intensity")):
        return ""
    return (
        f"{name} learned from images with {json.dumps(learned)}, which is not the preprocessing of stage "
        f"'{stage.name}'; with it in the recipe the encoder sees what it knows."
    )


def _same_stage(package: ModelPackage, stage: Stage) -> Start:
    same = [known for known in package.stages if known.name == stage.name and known.network == stage.network]
    if not same:
        return Start(None, f"random weights, since {package.reference} has no stage '{stage.name}' with this network")
    return Start(package.read_weights(stage.name), f"the weights of {package.reference}", package.provenance)
