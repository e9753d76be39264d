"""3D ResNet encoders of Med3D (arXiv 1904.00625, section 3.2; papers.md A4) and VDT (arXiv 2201.01426; B1, B3).

State-dict keys and shapes are exactly MedicalNet's, so its released weights load without renaming. Weights depend on no
stride: what was pre-trained on pictures without a stride along z (``depth_stride``) loads into a network that has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from Med3DCore.errors import SettingError
from Med3DCore.networks.checks import check_choice, check_count, check_counts
from Med3DCore.networks.conv import Conv3d
from Med3DCore.networks.layers import NORMS, Stride, initialise, normalisation, product
from Med3DCore.networks.network import Encoder
from Med3DCore.networks.pseudo_3d import PSEUDO
from Med3DCore.networks.residual_blocks import BasicBlock, Block, Bottleneck
from Med3DCore.networks.residual_blocks import shortcut as make_shortcut

# output stride -> (stride, dilation) of layer 3 and layer 4
GEOMETRIES = {
    8: ((1, 2), (1, 4)),
    16: ((2, 1), (1, 2)),
    32: ((2, 1), (2, 1)),
}


class ResNetEncoder(Encoder):
    """3D ResNet without its classifier.

    Args:
        depth: 10, 18, 34 (basic blocks), 50, 101, 152 or 200 (bottlenecks).
        in_channels: Channels of the input; 1 for scans.
        shortcut: ``"B"`` (1x1x1 convolution and batch norm) or ``"A"`` (zero padding). The released weights are of
            type A for depths 18 and 34, else B.
        output_stride: Voxels of the input per voxel of the last map: 8 as Med3D (layers 3 and 4 dilated by 2 and 4;
            the paper says 2 for both, its code and weights 2 then 4), 16, or 32 as a plain ResNet.
        width: Channels of the stem; all others follow. 64 as published, less for small models.
        stem_stride: 1 keeps the stem at full resolution and halves every stride below, as VDT's segmentation
            networks (papers.md B3.3); 2 as Med3D. Three numbers where z, y and x differ: ``[1, 2, 2]`` of the inflated
            networks Merlin and Astra.
        detach_shortcut: No gradient through shortcuts of type A, as MedicalNet's code.
        stem_pool: Whether the max-pool follows the stem; VDT's network for small cubes has none (papers.md B3.2).
        stage_strides: Strides of layers 1 to 4 in place of ``output_stride``, without dilation: VDT's network for
            small cubes has ``(1, 2, 1, 2)``.
        depth_stride: False for VDT's pre-training (papers.md B1): no stride along z anywhere, so that a picture's three
            colours, taken as three slices, are still three in the last map.
        flat: A 2D ResNet: no kernel reaches beyond its own slice and nothing has a stride along z. Such weights are
            those of a 2D ResNet but for one axis of length 1; it is the plain 2D network that VDT is compared with.
        pseudo: P3D's network of bottlenecks (papers.md B3.5): stem and max-pool within a slice, and in place of 3x3x3
            convolutions :mod:`.pseudo_3d`'s. Its weights are its own.
        depth_pools: P3D's treatment of few slices: no stride along z, but max-pools along it after layers 1 and 2
            (which halve it) and after layer 3 (which takes three to one), so that nine slices become 5, 3 and 1.
        norm: ``"batch"``, or ``"group"`` (32 groups) as the published detectors.
        stem_slices: Slices that the stem's kernel spans: 7 as Med3D, or 3 as Merlin and Astra.

    Attributes:
        channels: Channels of the five maps of :meth:`features`.
        strides: Input voxels per voxel of each of these maps: a number, or z, y, x where the axes differ.

    Raises:
        SettingError: An argument is not one of the above.
    """

    blocks: ClassVar[dict[int, tuple[type[Block], tuple[int, ...]]]] = {
        10: (BasicBlock, (1, 1, 1, 1)),
        18: (BasicBlock, (2, 2, 2, 2)),
        34: (BasicBlock, (3, 4, 6, 3)),
        50: (Bottleneck, (3, 4, 6, 3)),
        101: (Bottleneck, (3, 4, 23, 3)),
        152: (Bottleneck, (3, 8, 36, 3)),
        200: (Bottleneck, (3, 24, 36, 3)),
    }

    layer1: nn.Module
    layer2: nn.Module
    layer3: nn.Module
    layer4: nn.Module

    def __init__(
        self,
        depth: int,
        in_channels: int = 1,
        shortcut: str = "B",
        output_stride: int = 8,
        width: int = 64,
        stem_stride: int | Sequence[int] = 2,
        detach_shortcut: bool = False,
        stem_pool: bool = True,
        stage_strides: Sequence[int] | None = None,
        depth_stride: bool = True,
        flat: bool = False,
        pseudo: bool = False,
        depth_pools: bool = False,
        norm: str = "batch",
        stem_slices: int = 7,
    ) -> None:
        super().__init__()
        check_choice("depth of the encoder", depth, self.blocks)
        check_choice("shortcut of the encoder", shortcut, ("A", "B"))
        check_choice("output_stride of the encoder", output_stride, GEOMETRIES)
        check_choice("stem_slices of the encoder", stem_slices, (3, 7))
        check_count("in_channels of the encoder", in_channels)
        check_count("width of the encoder", width)

        switches = {"stem_pool": stem_pool, "depth_stride": depth_stride, "flat": flat, "pseudo": pseudo}
        for name, value in {**switches, "depth_pools": depth_pools}.items():
            check_choice(f"{name} of the encoder", value, (True, False))
        check_choice("norm of the encoder", norm, NORMS)
        block, counts = self.blocks[depth]
        if pseudo and (block is not Bottleneck or flat):
            raise SettingError("pseudo of the encoder needs bottlenecks, depth 50 or more of 'resnet', and no flat.")
        stages = _stages(output_stride, stage_strides)
        keeps_depth = flat or pseudo or depth_pools or not depth_stride
        first = _stem_stride(stem_stride, keeps_depth)
        in_slice = flat or pseudo  # stem and max-pool

        def stride(of: int) -> Stride:
            return of if of == 1 or not keeps_depth else (1, of, of)

        slices = 1 if in_slice else stem_slices
        kernel, padding = (slices, 7, 7), (slices // 2, 3, 3)
        self.conv1 = Conv3d(in_channels, width, kernel, stride=first, padding=padding, bias=False)
        self.bn1 = normalisation(norm, width)
        self.relu = nn.ReLU(inplace=True)
        pool = nn.MaxPool3d((1, 3, 3) if in_slice else 3, stride=stride(2), padding=(0, 1, 1) if in_slice else 1)
        self.maxpool = pool if stem_pool else nn.Identity()

        self.channels, self.strides = [width], [first]
        for i, (count, (step, dilation)) in enumerate(zip(counts, stages, strict=True)):
            before, planes = self.channels[-1], width * 2**i
            after = planes * block.expansion
            # Only a stage's first block changes size or channels, so only it needs a shortcut of its own.
            needs_shortcut = step != 1 or before != after
            downsample = None
            if needs_shortcut:
                downsample = make_shortcut(shortcut, before, after, stride(step), detach_shortcut, norm)
            kinds = [PSEUDO[(sum(counts[:i]) + j) % len(PSEUDO)] if pseudo else block for j in range(count)]
            layer = [kinds[0](before, planes, stride(step), dilation, downsample, flat, norm)]
            layer += [kind(after, planes, 1, dilation, None, flat, norm) for kind in kinds[1:]]
            self.add_module(f"layer{i + 1}", nn.Sequential(*layer))
            self.channels.append(after)
            pooled = 2 if i == 0 and stem_pool else 1  # the max-pool stands before layer 1
            self.strides.append(product(self.strides[-1], stride(step * pooled)))
        self.depth_pools = nn.ModuleList(_depth_pool(i, depth_pools) for i in range(3))
        initialise(self)

    def features(self, x: Tensor) -> list[Tensor]:
        """Feature maps from fine to coarse: the stem before its max-pool, then layers 1 to 4.

        Args:
            x: Float ``[n, in_channels, z, y, x]`` of any size; a stride of 2 turns ``n`` voxels into ``ceil(n/2)``.
        """
        maps = [self.relu(self.bn1(self.conv1(x)))]
        x = self.maxpool(maps[0])
        for layer, pool in zip(self._layers(), (nn.Identity(), *self.depth_pools), strict=True):
            x = layer(pool(x))
            maps.append(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """The map of layer 4, ``[n, channels[-1], z / strides[-1], ...]``."""
        x = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(x)))))
        for layer, pool in zip(self._layers()[1:], self.depth_pools, strict=True):
            x = layer(pool(x))
        return x

    def _layers(self) -> tuple[nn.Module, ...]:
        return self.layer1, self.layer2, self.layer3, self.layer4


def _stages(output_stride: int, stage_strides: Sequence[int] | None) -> tuple[tuple[int, int], ...]:
    """Stride and dilation of layers 1 to 4.

    Raises:
        SettingError: Strides are given that are no four of 1 and 2.
    """
    if stage_strides is None:
        return ((1, 1), (2, 1), *GEOMETRIES[output_stride])
    check_counts("stage_strides of the encoder", stage_strides, 4)
    if max(stage_strides) > 2:
        raise SettingError(f"stage_strides of the encoder is {list(stage_strides)}; each must be 1 or 2.")
    return tuple((stride, 1) for stride in stage_strides)


def _stem_stride(given: int | Sequence[int], keeps_depth: bool) -> Stride:
    """Stride of the stem, as short as it can be said.

    Raises:
        SettingError: It is neither 1, 2 nor three of them.
    """
    if isinstance(given, int):
        check_choice("stem_stride of the encoder", given, (1, 2))
        along = [given] * 3
    else:
        check_counts("stem_stride of the encoder", given, 3)
        along = list(given)
    if max(along) > 2:
        raise SettingError(f"stem_stride of the encoder is {along}; each must be 1 or 2.")
    return product((1 if keeps_depth else along[0], along[1], along[2]), 1)


def _depth_pool(after: int, pools: bool) -> nn.Module:
    """The max-pool along z after layers 1, 2 and 3 (numbers 0, 1, 2)."""
    if not pools:
        return nn.Identity()
    return nn.MaxPool3d((3, 1, 1), (2, 1, 1), (1, 0, 0)) if after < 2 else nn.MaxPool3d((3, 1, 1), 1)
