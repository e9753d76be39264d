"""What the worker keeps loaded, so that the second request pays only for the network."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from Med3DCore.inference.pipeline import Pipeline
    from Med3DCore.models.package import ModelPackage
    from Med3DCore.progress import Progress


class Warm:
    """Holds torch and the last pipeline.

    ``digest`` is the SHA-256 of the model's file that this was made of, since another may take its place later.
    """

    def __init__(self) -> None:
        self.digest = ""
        self._pipeline: Pipeline | None = None
        self._file: tuple[Path, int] | None = None

    def pipeline(self, package: ModelPackage, device: str, mirror: bool = False, fast: bool = False) -> Pipeline:
        """A pipeline that is ready to run: the last one, if model file and device are still the same.

        Args:
            package: The model.
            device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
            mirror: As in ``InferenceSettings``.
            fast: The same.

        Raises:
            ResourceError: No such device.
            ModelError: The model's file was removed or replaced meanwhile.
        """
        from Med3DCore.inference.device import choose_device
        from Med3DCore.inference.pipeline import Pipeline
        from Med3DCore.inference.stage_networks import InferenceSettings

        chosen = choose_device(device)
        settings = InferenceSettings(mirror=mirror, fast=fast)
        file = (package.file.resolve(), package.file.stat().st_mtime_ns)
        # A pipeline that fled from a full GPU to the CPU has another device than the one that was asked for.
        if self._pipeline is None or self._file != file or self._pipeline.networks.device.name != chosen.name:
            self._pipeline = None  # frees its memory before the next one takes some
            self.digest = package.digest()
            self._pipeline, self._file = Pipeline(package, chosen, settings), file
        self._pipeline.networks.device, self._pipeline.networks.settings = chosen, settings
        return self._pipeline

    def forget(self) -> None:
        """Free the pipeline's memory."""
        self._pipeline = None

    def rest(self) -> None:
        """Between requests: give the GPU memory that is not held by the model back, since Slicer draws with it."""
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_initialized():
            torch.cuda.empty_cache()


@contextmanager
def interruptible(progress: Progress) -> Iterator[None]:
    """Let networks stop between two layers: on a CPU one forward pass of a window takes seconds.

    Not while they learn: half a pass would change running statistics. A training stops between two steps.
    """
    import torch
    from torch.nn.modules.module import register_module_forward_pre_hook

    def check(module: torch.nn.Module, inputs: tuple) -> None:  # noqa: ARG001 - torch's signature
        if not torch.is_grad_enabled():
            progress.check()

    hook = register_module_forward_pre_hook(check)
    try:
        yield
    finally:
        hook.remove()
