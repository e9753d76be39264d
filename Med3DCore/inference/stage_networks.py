"""The networks of a model, ready to run: kept warm; where memory is short, in smaller windows or on the CPU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from Med3DCore.errors import ResourceError
from Med3DCore.geometry import triple
from Med3DCore.inference.device import Device, cpu
from Med3DCore.inference.memory import plan_window, smaller_window
from Med3DCore.inference.sliding_window import fitting_window, sliding_window
from Med3DCore.io.memory import is_out_of_memory
from Med3DCore.models.package import ModelPackage
from Med3DCore.models.stage import Stage
from Med3DCore.progress import Progress


@dataclass(frozen=True)
class InferenceSettings:
    """Choices between speed and quality.

    Args:
        overlap: Part of a window shared with its neighbour.
        batch: Windows per forward pass.
        mirror: Average over mirrored copies, along the axes along which a network was taught mirrored anatomy.
        fast: Run an imported model in half precision also on a CPU that has it, as all other models are.
    """

    overlap: float = 0.25
    batch: int = 1
    mirror: bool = False
    fast: bool = False


class StageNetworks:
    """A network a stage, built when it is first needed.

    Args:
        package: The model.
        device: Where to compute; becomes the CPU when a GPU's memory does not suffice.
        settings: Choices between speed and quality.
    """

    def __init__(self, package: ModelPackage, device: Device, settings: InferenceSettings) -> None:
        self.package = package
        self.device = device
        self.settings = settings
        self._built: dict[str, torch.nn.Module] = {}

    def probabilities(self, stage: Stage, array: np.ndarray, progress: Progress) -> np.ndarray:
        """Run a stage's network; when the memory does not suffice, in smaller windows, then on the CPU.

        Args:
            stage: One of the package's stages.
            array: Prepared for it, float32 ``[z, y, x]``, or ``[channels, z, y, x]``.
            progress: Followed, may cancel, and gets warnings.

        Returns:
            float32 ``[output channel, z, y, x]``.

        Raises:
            ResourceError: Not even small windows fit.
            Cancelled: The user stopped.
        """
        wanted = fitting_window(stage.window, triple(array.shape[-3:]))
        window = self._plan(stage, wanted, progress)
        if window != wanted:
            progress.warn(f"Little memory is free, so the {stage.name} stage ran in windows of {window} voxels.")
        while True:
            try:
                return sliding_window(
                    self.network(stage),
                    array,
                    window,
                    self.device,
                    stage.activation,
                    self.settings.overlap,
                    self.settings.batch,
                    stage.mirror if self.settings.mirror else (),
                    progress,
                )
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                window = self._retreat(window, progress)

    def network(self, stage: Stage) -> torch.nn.Module:
        """The network of a stage, with its weights, on the device."""
        if stage.name not in self._built:
            network = self._built[stage.name] = self.package.network(stage.name)
            self.device.place(network)
        return self._built[stage.name]

    def _plan(self, stage: Stage, wanted: tuple[int, int, int], progress: Progress) -> tuple[int, int, int]:
        """A window that fits; where the GPU is full already, on the CPU."""
        try:
            return plan_window(stage.network, wanted, self.device)
        except (RuntimeError, ResourceError) as error:
            is_full = isinstance(error, ResourceError) or is_out_of_memory(error)
            if not is_full or self.device.name == "cpu":
                raise
        self._to_cpu("The GPU has no memory left; the CPU was used instead.", progress)
        return plan_window(stage.network, wanted, self.device)

    def _retreat(self, window: tuple[int, int, int], progress: Progress) -> tuple[int, int, int]:
        """After the memory ran out: a smaller window or, at last, the CPU instead of the GPU."""
        torch.cuda.empty_cache()
        place = "computer" if self.device.name == "cpu" else "GPU"
        if max(window) > 64 or place == "computer":
            window = smaller_window(window)
            progress.warn(f"The {place} ran out of memory; smaller windows of {window} voxels were used.")
            return window
        self._to_cpu("The GPU ran out of memory even with small windows; the CPU was used instead.", progress)
        return window

    def _to_cpu(self, sentence: str, progress: Progress) -> None:
        self.device = cpu("The GPU ran out of memory.")
        self._built.clear()
        progress.warn(sentence)
