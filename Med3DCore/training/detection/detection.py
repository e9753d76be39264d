"""Learn to put boxes around lesions: detection as a task of the training loop (papers.md B3.5).

A patch is all slices of a part of a picture, mirrored left to right and head to foot, and zoomed within the slice, as
published (there to 448, 512 or 576 pixels), and its intensities are varied as :class:`.Augmentation` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from Med3DCore.boxes import areas, clipped
from Med3DCore.errors import DataError, SettingError
from Med3DCore.evaluation.froc import RATES, Detections, froc
from Med3DCore.inference.device import Device
from Med3DCore.inference.find_boxes import find_boxes, limits_of
from Med3DCore.models.kinds import DETECTING
from Med3DCore.models.stage import BACKGROUND
from Med3DCore.networks.detector import DetectionDecoder, Proposals
from Med3DCore.networks.network import Network
from Med3DCore.preprocessing.intensity import Intensity
from Med3DCore.preprocessing.preprocessing import Preprocessing
from Med3DCore.progress import Progress
from Med3DCore.training.cases.prepared import Prepared, fingerprint
from Med3DCore.training.detection.key_slices import KeySlice
from Med3DCore.training.detection.losses import detection_loss
from Med3DCore.training.detection.stacks import boxes_on
from Med3DCore.training.learning.initialization import network_of
from Med3DCore.training.learning.optimization import ParameterGroup
from Med3DCore.training.learning.recipe import Recipe, StageRecipe
from Med3DCore.training.learning.task import Task, Validation
from Med3DCore.training.patches.cut import sample
from Med3DCore.training.segmentation.trainer import rates_by_depth

_SEEN = 0.5  # part of a lesion's box that must lie in a patch for it to be there
Batch = tuple[Tensor, list[np.ndarray], int]


def detector_stage(recipe: Recipe) -> StageRecipe:
    """The one stage of a recipe for a detector.

    Raises:
        SettingError: It is no such recipe.
    """
    stage, training = recipe.stages[0].stage, recipe.stages[0].training
    decoder = stage.network["decoder"]
    slices = decoder.get("slices", 9)
    for holds, rule in (
        (len(recipe.stages) == 1, "have one stage"),
        (decoder.get("name") == DETECTING, "have the decoder 'detection'"),
        (len(stage.labels) == 2 and stage.labels[0] == BACKGROUND, "have the labels background and what it finds"),
        (stage.activation == "softmax", "have the activation softmax"),
        (stage.window[0] == training.patch[0] == slices, f"have windows and patches of its {slices} slices"),
    ):
        if not holds:
            raise SettingError(f"This is no recipe for a detector, which must {rule}.")
    return recipe.stages[0]


def find_in_stacks(
    network: Network, stacks: Sequence[Prepared[KeySlice]], intensity: Intensity, device: Device, progress: Progress
) -> list[Detections]:
    """What a network finds in slices, and what there is, in pixels of the network's grid.

    Args:
        network: A detector in evaluation mode.
        stacks: The slices, see :func:`Med3DCore.training.detection.stacks.prepare_stacks`.
        intensity: How they are normalised.
        device: Where to compute.
        progress: Followed; may cancel.
    """
    result = []
    for done, each in enumerate(stacks):
        progress.update(done / len(stacks))
        boxes, scores = find_boxes(network, intensity.apply(np.array(each.image), each.statistics), device)
        result.append(Detections(boxes, scores, boxes_on(each.geometry, each.case.boxes, each.case.spacing)))
    return result


class DetectionTask(Task[Network]):
    """Learn one detector from key slices.

    Args:
        recipe: Network, preprocessing and settings; ``foreground`` is the share of patches around a lesion.
        cases: All stacks, see :func:`Med3DCore.training.detection.stacks.prepare_stacks`.
        seed: Seed of the patches.
        initial: Weights to start from, of the same network or of its encoder alone; None for random ones.

    Raises:
        DataError: There is no lesion to learn from.
    """

    def __init__(
        self,
        recipe: StageRecipe,
        cases: Sequence[Prepared[KeySlice]],
        seed: int,
        initial: dict[str, Tensor] | None = None,
    ) -> None:
        stage = recipe.stage
        self.name = f"train {stage.name}"
        known = [[each.case.name, each.case.split, each.case.boxes, fingerprint(each)] for each in cases]
        self.identity = [stage.network, stage.preprocessing, stage.labels, known]
        self.recipe, self.seed, self.initial = recipe, seed, initial
        self.intensity = Preprocessing.from_dict(stage.preprocessing).intensity
        self.validation = [each for each in cases if each.case.split == "validation"]
        self.training = [each for each in cases if each.case.split == "training"]
        if not any(each.case.boxes for each in self.training):
            raise DataError("No slice for training has a box around a lesion, so there is nothing to learn.")

    def build(self) -> Network:
        """The recipe's network."""
        return cast(Network, network_of(self.recipe.stage, self.initial))

    def draw(self, number: int) -> Batch:
        """Image ``[n, 1, z, y, x]`` float32, boxes ``[m, 4]`` of each, and the number."""
        rng = np.random.default_rng([self.seed, number])
        drawn = [self._varied(self.training[rng.integers(len(self.training))], rng) for _ in range(self.batch)]
        return torch.stack([image for image, _ in drawn])[:, None], [boxes for _, boxes in drawn], number

    @property
    def batch(self) -> int:
        """Patches of a batch."""
        return self.recipe.training.batch

    def loss(self, network: nn.Module, batch: Batch, device: Device) -> Tensor:
        """Of proposals and of boxes."""
        images, boxes, number = batch
        decoder = cast(DetectionDecoder, network.get_submodule("decoder"))
        rng = np.random.default_rng([self.seed, number, 1])
        with device.autocast():
            said: Proposals = network(images.to(device.torch_device, memory_format=torch.channels_last_3d))
            size = (images.shape[-2], images.shape[-1])
            return detection_loss(decoder, said, boxes, size, limits_of(decoder), rng)

    def validate(self, network: nn.Module, device: Device, progress: Progress) -> Validation:
        """The mean sensitivity at 0.5, 1, 2 and 4 false alarms a picture, and each of them."""
        if not any(each.case.boxes for each in self.validation):
            return Validation()
        found = froc(self.found(cast(Network, network), device, progress)).sensitivity()
        each = {f"at {rate:g}": round(value, 4) for rate, value in zip(RATES, found, strict=True)}
        return Validation(float(np.mean(found)), {"sensitivity": each})

    def found(self, network: Network, device: Device, progress: Progress) -> list[Detections]:
        """What a network finds in the held-out slices, and what there is, in pixels of the network's grid."""
        return find_in_stacks(network, self.validation, self.intensity, device, progress)

    def parameter_groups(self, network: nn.Module) -> list[ParameterGroup]:
        """The heads at the full rate, the encoder as the settings say."""
        return rates_by_depth(network, self.recipe.training)

    def pretrained_parts(self, network: nn.Module) -> list[nn.Module]:
        """The encoder, in which alone there is batch norm."""
        return [network.get_submodule("encoder")]

    def _varied(self, each: Prepared[KeySlice], rng: np.random.Generator) -> tuple[Tensor, np.ndarray]:
        """A patch ``[z, y, x]`` and the boxes in it."""
        settings, image = self.recipe.training, each.image
        slices, height, width = settings.patch
        boxes = boxes_on(each.geometry, each.case.boxes, each.case.spacing)
        zoom = float(np.exp(rng.uniform(-1, 1) * np.log(settings.augmentation.scale)))
        centre = self._centre(boxes, zoom, image.shape[1:], rng)
        flips = rng.choice([-1.0, 1.0], 2)
        z = (np.arange(slices) - slices // 2) * flips[0] + image.shape[0] // 2
        y = (np.arange(height) - (height - 1) / 2) * zoom + centre[1]
        x = (np.arange(width) - (width - 1) / 2) * zoom * flips[1] + centre[0]
        rows, columns = _within(y, image.shape[1]), _within(x, image.shape[2])
        part = torch.from_numpy(np.array(image[:, rows, columns]))
        places = np.meshgrid(z, y - rows.start, x - columns.start, indexing="ij")[::-1]
        patch = sample(part, torch.from_numpy(np.stack(places, axis=-1).astype(np.float32)))
        patch = settings.augmentation.vary_intensity(patch[None, None], each.statistics, rng)[0, 0]
        patch = torch.from_numpy(self.intensity.apply(patch.contiguous().numpy(), each.statistics))
        return patch, _moved(boxes, centre, zoom, flips[1], (height, width))

    def _centre(self, boxes: np.ndarray, zoom: float, shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        """The middle (x, y) of a patch in pixels: near a lesion, or anywhere in the picture."""
        half = np.array(self.recipe.training.patch[:0:-1]) * zoom / 2
        low, high = (
            np.minimum(half, np.array(shape[::-1]) / 2),
            np.maximum(shape[::-1] - half, np.array(shape[::-1]) / 2),
        )
        if not len(boxes) or rng.random() >= self.recipe.training.foreground:
            return rng.uniform(low, high)
        box = boxes[rng.integers(len(boxes))]
        slack = np.maximum(half - (box[2:] - box[:2]) / 2, 0)
        return np.clip((box[:2] + box[2:]) / 2 + rng.uniform(-slack, slack), low, high)


def _within(places: np.ndarray, size: int) -> slice:
    """The pixels that places touch, at least one."""
    low, high = np.clip([np.floor(places.min()), np.ceil(places.max())], 0, size - 1)
    return slice(int(low), int(high) + 1)


def _moved(boxes: np.ndarray, centre: np.ndarray, zoom: float, flip: float, size: tuple[int, int]) -> np.ndarray:
    """Boxes as they lie in a patch, cut off at its border; those that are mostly beyond are left out."""
    height, width = size
    middle = np.array([width - 1, height - 1]) / 2
    corners = (boxes.reshape(-1, 2, 2) - centre) / zoom * [flip, 1.0] + middle
    moved = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    cut = clipped(moved, width, height)
    return cut[areas(cut) >= _SEEN * areas(moved)]
