"""Encoders from files of MedicalNet, Kinetics (also pre-activation), 2D ResNets (papers.md A5, B3), Merlin and Astra.

Their original loaders drop what does not match without a word: a wrong prefix loads nothing at all, a wrong shortcut
type 54 of 72 tensors. Here the file says itself which network it is for, and all of it must fit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from Med3DCore.errors import ModelError, SettingError
from Med3DCore.models import merlin
from Med3DCore.models.archive import sha256_of
from Med3DCore.models.package import ModelPackage

if TYPE_CHECKING:
    from torch import Tensor

    from Med3DCore.networks.resnet import ResNetEncoder

PREFIXES = ("module.", "model.", "backbone.", "encoder.", "visual_encoder.", "encode_image.", "i3_resnet.")
_WRAPPERS = ("state_dict", "model_state_dict")
_TITLES = {"resnet": "ResNet", "preact_resnet": "PreAct-ResNet"}
# Decoder of MedicalNet's demo, classifiers of Kinetics and VDT, what Merlin has for reports: never part of the encoder.
HEADS = (
    *("conv_seg", "fc", "head", "cls_head", "decoder"),
    *("classifier", "contrastive_head", "encode_text", "logit_scale"),
)


@dataclass(frozen=True)
class ImportReport:
    """What became of the entries of a checkpoint.

    Args:
        source: Name of the file.
        sha256: Of the file.
        matched: Number of entries taken over; always all of the encoder.
        added: Batch counters that the file lacks (older versions of torch had none), set to 0.
        ignored: Names of entries that belong to a head.
        input_channels: Channels that the first convolution had in the file.
    """

    source: str
    sha256: str
    matched: int
    added: int
    ignored: tuple[str, ...]
    input_channels: int


@dataclass(frozen=True, eq=False)
class ImportedEncoder:
    """A pre-trained encoder: :func:`.build_network` makes one of ``spec``, which takes all of ``state_dict``.

    Args:
        depth: 10 to 200.
        shortcut: ``"A"`` or ``"B"``.
        width: Channels of the stem; 64 as published.
        in_channels: Channels of the input.
        state_dict: float32 tensors with MedicalNet's names.
        report: What became of the file's entries.
        flat: Whether it is a 2D ResNet, whose kernels ``[o, c, y, x]`` became ``[o, c, 1, y, x]``.
        name: ``"resnet"``, or ``"preact_resnet"`` for Kinetics' pre-activation ResNet (papers.md A4).
        inflated: Whether it is an inflated one of Merlin's kind, see :mod:`.merlin`.
    """

    depth: int
    shortcut: str
    width: int
    in_channels: int
    state_dict: dict[str, Tensor]
    report: ImportReport
    flat: bool = False
    name: str = "resnet"
    inflated: bool = False

    @property
    def preprocessing(self) -> dict | None:
        """What its images were like, as of a stage; None where its file leaves that open."""
        return merlin.PREPROCESSING if self.inflated else None

    @property
    def spec(self) -> dict:
        """The ``"encoder"`` of a network description, with the geometry the weights were trained in (papers.md A4)."""
        return {
            "name": self.name,
            "depth": self.depth,
            "in_channels": self.in_channels,
            "shortcut": self.shortcut,
            "output_stride": 32 if self.flat else 8,
            "width": self.width,
            **({"flat": True} if self.flat else {}),
            **(merlin.SETTINGS if self.inflated else {}),
        }


def import_checkpoint(path: str | Path, in_channels: int = 1) -> ImportedEncoder:
    """Read a file of MedicalNet, of a Kinetics or torchvision ResNet, of Merlin or Astra, or of the same layout.

    The file may be torch's zip or legacy format, hold ``{"state_dict": ...}``, ``{"model_state_dict": ...}`` or the
    tensors themselves, and prefix their names with ``PREFIXES`` in any order. Depth, shortcut type and width are
    inferred from names and shapes.

    Args:
        path: The file.
        in_channels: Channels that the encoder shall have. If the file has another number, the first kernel is
            summed over its channels and spread evenly over the new ones: a grey image in all channels gives the same
            features as before.

    Raises:
        ModelError: The file is missing, damaged, holds code or numbers that are not finite, or is not
            a whole ResNet encoder; with counts and names.
        SettingError: ``in_channels`` is below 1.

    Examples:
        >>> encoder = import_checkpoint("resnet_50_23dataset.pth")  # doctest: +SKIP
        >>> encoder.depth, encoder.shortcut, encoder.report.matched  # doctest: +SKIP
        (50, 'B', 318)
    """
    from Med3DCore.models.weights import compare, load_tensors

    if in_channels < 1:
        raise SettingError(f"An encoder needs at least 1 input channel, not {in_channels}.")
    path = Path(path)
    tensors, ignored = _encoder_tensors(load_tensors(path, path.name), path.name)
    stem = tensors.get("conv1.weight")
    flat = stem is not None and stem.ndim == 4 and _count_blocks(tensors, 1) > 0
    if flat:
        tensors = {key: value.unsqueeze(2) if value.ndim == 4 else value for key, value in tensors.items()}
    kind, depth, shortcut, width, file_channels = _infer(tensors, path.name)
    inflated = merlin.is_inflated(tensors)
    settings = merlin.SETTINGS if inflated else {}
    wanted = _state_of(kind, depth, file_channels, shortcut, width=width, flat=flat, **settings)
    counters = {key: value for key, value in _zero_counters(wanted).items() if key not in tensors}
    fit = compare(wanted, tensors | counters)
    if not fit.is_complete:
        raise ModelError(
            f"{path.name} looks like a {_TITLES[kind]}-{depth} with shortcut {shortcut}, but is not a whole one:"
            f" {fit.describe()}; get the original file."
        )
    state_dict = {key: (tensors | counters)[key] for key in wanted}
    state_dict = merlin.turned(state_dict) if inflated else state_dict
    state_dict["conv1.weight"] = adapt_channels(state_dict["conv1.weight"], in_channels)
    with path.open("rb") as stream:
        report = ImportReport(path.name, sha256_of(stream), len(tensors), len(counters), ignored, file_channels)
    return ImportedEncoder(depth, shortcut, width, in_channels, state_dict, report, flat, kind, inflated)


def encoder_package(
    encoder: ImportedEncoder,
    name: str | None = None,
    version: str = "1.0.0",
    licence: str = "not stated",
    title: str = "",
) -> ModelPackage:
    """Describe an imported encoder as a model package; save it with ``{"encoder": encoder.state_dict}``.

    Args:
        encoder: From :func:`import_checkpoint`.
        name: Of the new package; by default the file's.
        version: Three numbers.
        licence: Of the weights, such as ``"MIT (Tencent MedicalNet)"``; the file does not say it.
        title: Name shown to people; by default what the network is.
    """
    network = f"{'inflated ' * encoder.inflated}{_TITLES[encoder.name]}-{encoder.depth}, shortcut {encoder.shortcut}"
    images = {"preprocessing": encoder.preprocessing} if encoder.preprocessing else {}
    return ModelPackage(
        name=name or _name_of(encoder.report.source),
        version=version,
        title=title or f"{network} from {encoder.report.source}",
        description=f"Pre-trained encoder ({network}, width {encoder.width}), imported from {encoder.report.source}.",
        modality="CT" if encoder.inflated else "CT/MR",
        licence=licence,
        encoder=encoder.spec,
        provenance={"imported": asdict(encoder.report), **images},
    )


def _name_of(file: str) -> str:
    """A name that a package may have, from a file's."""
    return re.sub(r"[^a-z0-9]+", "_", Path(file).stem.lower())[:64].strip("_") or "encoder"


def adapt_channels(kernel: Tensor, channels: int) -> Tensor:
    """Change the input channels of a convolution kernel ``[out, in, z, y, x]``.

    Sums over the old channels (colour to grey) and spreads the sum evenly over the new ones, so that equal
    channels give the activations that one of them gave. Unchanged if the number is right already.
    """
    if kernel.shape[1] == channels:
        return kernel
    return kernel.sum(dim=1, keepdim=True).repeat(1, channels, 1, 1, 1) / channels


def _encoder_tensors(content: object, name: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The encoder's float32 tensors by plain name, and the names of what belongs to a head."""
    from Med3DCore.models.weights import is_plain

    if isinstance(content, Mapping):
        content = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), content)
    if not isinstance(content, Mapping) or not content:
        raise ModelError(f"{name} holds no weights by name; choose a checkpoint that was saved as a state dict.")
    tensors: dict[str, Tensor] = {}
    ignored = []
    for full_name, value in content.items():
        key = _strip_prefixes(str(full_name))
        if key.split(".")[0] in HEADS:
            ignored.append(key)
        elif key in tensors:
            raise ModelError(
                f"{name} holds '{key}' twice, with and without a prefix; choose a checkpoint of one network."
            )
        elif not is_plain(value):
            raise ModelError(f"{name} is no file of weights: '{full_name}' is no ordinary tensor.")
        elif value.is_floating_point() and not value.isfinite().all():
            raise ModelError(
                f"{name} holds numbers that are not finite ('{key}'): its training diverged; choose an earlier one."
            )
        else:
            tensors[key] = value.float() if value.is_floating_point() else value
    return tensors, tuple(ignored)


def _strip_prefixes(key: str) -> str:
    while prefix := next((prefix for prefix in PREFIXES if key.startswith(prefix)), ""):
        key = key.removeprefix(prefix)
    return key


def _infer(tensors: Mapping[str, Tensor], name: str) -> tuple[str, int, str, int, int]:
    """Kind, depth, shortcut type, width and input channels, from names and shapes."""
    kernel = tensors.get("conv1.weight")
    if kernel is None or kernel.ndim != 5:
        raise ModelError(
            f"{name} is no 3D ResNet: it has no 5-dimensional conv1.weight, but {', '.join(list(tensors)[:3])}, ..."
            " Only ResNets of MedicalNet's layout can be imported."
        )
    width, channels = kernel.shape[:2]
    counts = tuple(_count_blocks(tensors, layer) for layer in range(1, 5))
    kind, is_bottleneck = _kind(tensors), "layer1.0.conv3.weight" in tensors
    shortcut = "B" if any(".downsample." in key for key in tensors) else "A"
    blocks = _encoder_class(kind).blocks
    for depth, (block, known) in blocks.items():
        if known == counts and (block.expansion == 4) == is_bottleneck:
            return kind, depth, shortcut, width, channels
    raise ModelError(
        f"{name} has {', '.join(map(str, counts))} {'bottlenecks' if is_bottleneck else 'basic blocks'} in its four"
        f" layers, which is none of {_TITLES[kind]}-{', '.join(map(str, blocks))}; choose a checkpoint of one of these."
    )


def _kind(tensors: Mapping[str, Tensor]) -> str:
    """Whether batch norm stands before its convolution (pre-activation) or behind it: which of its channels it has."""
    kernel, scale = tensors.get("layer2.0.conv1.weight"), tensors.get("layer2.0.bn1.weight")
    is_before = kernel is not None and scale is not None and scale.shape == kernel.shape[1:2]
    return "preact_resnet" if is_before else "resnet"


def _count_blocks(tensors: Mapping[str, Tensor], layer: int) -> int:
    return len({match[1] for key in tensors if (match := re.match(rf"layer{layer}\.(\d+)\.", key))})


def _state_of(kind: str, *arguments: Any, **settings: Any) -> dict[str, Tensor]:
    """Names and shapes of an encoder's weights; takes no memory."""
    import torch

    with torch.device("meta"):
        return _encoder_class(kind)(*arguments, **settings).state_dict()


def _encoder_class(kind: str) -> type[ResNetEncoder]:
    from Med3DCore.networks.preact_resnet import PreActResNetEncoder
    from Med3DCore.networks.resnet import ResNetEncoder

    return PreActResNetEncoder if kind == "preact_resnet" else ResNetEncoder


def _zero_counters(wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    import torch

    return {key: torch.zeros((), dtype=torch.int64) for key in wanted if key.endswith("num_batches_tracked")}
