"""The encoders of nnU-Net: plain convolutions, and residual blocks (Isensee 2021 and 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from torch import Tensor, nn

from Med3DCore.errors import SettingError
from Med3DCore.geometry import triple
from Med3DCore.networks.checks import check_choice, check_count, check_counts
from Med3DCore.networks.layers import Stride
from Med3DCore.networks.network import Encoder
from Med3DCore.networks.nnunet_layers import ACTIVATIONS, ConvNorm, ConvStack, ResidualBlock


class PlainConvEncoder(Encoder):
    """Stages of convolutions; the first one of a stage has its stride. Weights as those of nnU-Net's PlainConvUNet.

    Args:
        channels: Of each stage, from fine to coarse.
        kernels: Sizes (z, y, x) of the convolutions of each stage.
        strides: Steps (z, y, x) of each stage; the first stage has none.
        convs: Number of convolutions of each stage.
        in_channels: Channels of the input.
        bias: Whether convolutions have one.
        norm: ``"instance"`` or ``"batch"``.
        activation: ``"leaky_relu"`` or ``"relu"``.

    Raises:
        SettingError: The lists do not belong together, or a value is unknown.
    """

    def __init__(
        self,
        channels: Sequence[int],
        kernels: Sequence[Sequence[int]],
        strides: Sequence[Sequence[int]],
        convs: Sequence[int],
        in_channels: int = 1,
        bias: bool = True,
        norm: str = "instance",
        activation: str = "leaky_relu",
    ) -> None:
        super().__init__()
        check_stages(channels, kernels, strides, convs, in_channels, activation)
        self.channels, self.strides = list(channels), whole_strides(strides)
        self.stages = nn.ModuleList()
        before = in_channels
        for width, kernel, stride, count in zip(channels, kernels, strides, convs, strict=True):
            self.stages.append(conv_stack(count, before, width, kernel, stride, bias, norm, ACTIVATIONS[activation]))
            before = width

    def features(self, x: Tensor) -> list[Tensor]:
        """Float ``[n, in_channels, z, y, x]`` to one map a stage, from fine to coarse."""
        return _maps(self.stages, x)

    def forward(self, x: Tensor) -> Tensor:
        """The last map."""
        return self.features(x)[-1]


class ResidualEncoder(Encoder):
    """A stem and stages of residual blocks: the M, L and XL networks of nnU-Net's ResidualEncoderUNet are settings.

    Args:
        channels: Of each stage, from fine to coarse.
        kernels: Sizes (z, y, x) of the convolutions of each stage; the stem has those of the first.
        strides: Steps (z, y, x) of each stage; the first stage has none.
        blocks: Number of residual blocks of each stage.
        in_channels: Channels of the input.
        stem_channels: Of the stem; those of the first stage by default.
        bias: Whether convolutions have one, but for those of shortcuts.
        norm: ``"instance"`` or ``"batch"``.
        activation: ``"leaky_relu"`` or ``"relu"``.

    Raises:
        SettingError: The lists do not belong together, or a value is unknown.
    """

    def __init__(
        self,
        channels: Sequence[int],
        kernels: Sequence[Sequence[int]],
        strides: Sequence[Sequence[int]],
        blocks: Sequence[int],
        in_channels: int = 1,
        stem_channels: int | None = None,
        bias: bool = True,
        norm: str = "instance",
        activation: str = "leaky_relu",
    ) -> None:
        super().__init__()
        check_stages(channels, kernels, strides, blocks, in_channels, activation)
        slope = ACTIVATIONS[activation]
        self.channels, self.strides = list(channels), whole_strides(strides)
        before = channels[0] if stem_channels is None else stem_channels
        check_count("stem_channels of the encoder", before)
        self.stem = conv_stack(1, in_channels, before, kernels[0], (1, 1, 1), bias, norm, slope)
        self.stages = nn.ModuleList()
        for width, kernel, stride, count in zip(channels, kernels, strides, blocks, strict=True):
            stage = nn.Sequential(ResidualBlock(before, width, kernel, stride, bias, norm, slope))
            stage.extend(ResidualBlock(width, width, kernel, (1, 1, 1), bias, norm, slope) for _ in range(count - 1))
            self.stages.append(stage)
            before = width

    def features(self, x: Tensor) -> list[Tensor]:
        """Float ``[n, in_channels, z, y, x]`` to one map a stage, from fine to coarse."""
        return _maps(self.stages, self.stem(x))

    def forward(self, x: Tensor) -> Tensor:
        """The last map."""
        return self.features(x)[-1]


def conv_stack(
    count: int,
    in_channels: int,
    out_channels: int,
    kernel: Sequence[int],
    stride: Sequence[int],
    bias: bool,
    norm: str,
    slope: float,
) -> ConvStack:
    """Convolutions one after the other, the first with the stride."""
    first = ConvNorm(in_channels, out_channels, kernel, stride, bias, norm, slope)
    others = (ConvNorm(out_channels, out_channels, kernel, (1, 1, 1), bias, norm, slope) for _ in range(count - 1))
    return ConvStack(first, *others)


def _maps(stages: nn.ModuleList, x: Tensor) -> list[Tensor]:
    maps = []
    for stage in stages:
        x = stage(x)
        maps.append(x)
    return maps


def whole_strides(strides: Sequence[Sequence[int]]) -> list[Stride]:
    """Input voxels per voxel of each map, from the steps of the stages."""
    per_axis = [list(accumulate(steps, lambda a, b: a * b)) for steps in zip(*strides, strict=True)]
    return [values[0] if len(set(values)) == 1 else triple(values) for values in zip(*per_axis, strict=True)]


def check_stages(
    channels: Sequence[int],
    kernels: Sequence[Sequence[int]],
    strides: Sequence[Sequence[int]],
    counts: Sequence[int],
    in_channels: int,
    activation: str,
) -> None:
    """Refuse lists that do not belong together.

    Raises:
        SettingError: They do not, or a value is unknown.
    """
    check_counts("channels of the encoder", channels)
    check_counts("number of convolutions or blocks of the encoder", counts, len(channels))
    check_count("in_channels of the encoder", in_channels)
    check_choice("activation of the encoder", activation, ACTIVATIONS)
    for what, sizes in (("kernels", kernels), ("strides", strides)):
        if not isinstance(sizes, list | tuple) or len(sizes) != len(channels):
            raise SettingError(f"{what} of the encoder must be a list of {len(channels)}, one a stage, not {sizes!r}.")
        for size in sizes:
            check_counts(f"{what} of the encoder", size, 3)
    if len(channels) < 2 or set(strides[0]) != {1}:
        raise SettingError("The encoder needs two stages or more, the first of them without a stride.")
