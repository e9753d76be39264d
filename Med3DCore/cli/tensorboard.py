"""``--tensorboard``: losses and scores for TensorBoard. Needs its package, the ``tensorboard`` extra of ours."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.cli.arguments import path
from Med3DCore.errors import OutputError, SettingError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def add_tensorboard_option(parser: argparse.ArgumentParser) -> None:
    """Add the choice of a folder for TensorBoard."""
    parser.add_argument(
        "--tensorboard",
        type=path,
        metavar="FOLDER",
        help="also write losses and scores for TensorBoard there, a run for each stage (see: tensorboard --logdir)",
    )


class TensorBoardLog:
    """Writes what :attr:`Med3DCore.progress.Progress.on_metric` is told, each stage as a run of its own.

    A training that goes on hides what an earlier call wrote of the steps that are done again.

    Args:
        folder: Made if missing.

    Raises:
        SettingError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise SettingError(
                "TensorBoard is not installed: pip install tensorboard, or leave --tensorboard out; the curve is in "
                "curve.png all the same."
            ) from None
        self._folder, self._open = folder, SummaryWriter
        self._writers: dict[str, SummaryWriter] = {}

    def __call__(
        self, stage: str, step: int, loss: float | None, scores: dict | None, false_positive_ml: dict | None
    ) -> None:
        """Note a step or a validation.

        Raises:
            OutputError: The folder cannot be written.
        """
        name = stage.removeprefix("train ")
        try:
            if name not in self._writers:
                self._writers[name] = self._open(self._folder / name, purge_step=step)
            self._note(self._writers[name].add_scalar, step, loss, scores or {}, false_positive_ml or {})
        except OSError as error:
            raise OutputError(f"TensorBoard's {self._folder} cannot be written: {error.strerror or error}.") from error

    def close(self) -> None:
        """Write what is still in memory."""
        for writer in self._writers.values():
            writer.close()

    @staticmethod
    def _note(
        add: Callable[[str, float, int], None],
        step: int,
        loss: float | None,
        scores: Mapping[str, object],
        false_positive_ml: Mapping[str, Mapping[str, float]],
    ) -> None:
        if loss is not None:
            add("loss", loss, step)
        for kind, measured in (("score", scores), ("false positive mL", false_positive_ml)):
            for label, cases in measured.items():
                if isinstance(cases, Mapping) and cases:
                    add(f"{kind}/{label}", sum(cases.values()) / len(cases), step)
