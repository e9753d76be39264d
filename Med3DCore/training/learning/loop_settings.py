"""How long and how fast to learn: settings that every training has, whatever it trains."""

from __future__ import annotations

from dataclasses import dataclass

from Med3DCore.networks.checks import check_choice
from Med3DCore.training.learning.optimization import OPTIMIZERS, SCHEDULES
from Med3DCore.training.setting_checks import require, require_kinds, require_ranges

_KEEP = ("last", "best")


@dataclass(frozen=True)
class LoopSettings:
    """Settings of :func:`Med3DCore.training.learning.loop.train`.

    Args:
        steps: Optimizer steps, unless the time is over first; with 0 the weights that it starts from are kept.
        batch: Examples a step.
        optimizer: ``"adamw"``, ``"adam"`` or ``"sgd"``.
        learning_rate: Highest learning rate.
        schedule: ``"cosine"``, ``"poly"``, ``"step"`` or ``"constant"``, after a linear warm-up.
        warmup: Steps of the warm-up.
        weight_decay: The optimizer's.
        ema: Decay of the averaged weights, which are those that are kept; 0 for no average.
        clip_norm: Largest norm of the gradient.
        accumulate: Batches whose gradients are averaged for a step.
        freeze_batch_norm: Whether statistics and scales of batch norm stay as they are, where the start brought some.
        validate_every: Steps between validations; 0 spends a tenth of the time on them.
        patience: Validations without a better score after which training ends; 0 for never.
        keep: ``"last"`` weights or the ``"best"`` validated ones. Scores of the best are too good to report.
        save_seconds: Longest time between checkpoints.
    """

    steps: int = 1000
    batch: int = 2
    optimizer: str = "adamw"
    learning_rate: float = 2e-3
    schedule: str = "cosine"
    warmup: int = 50
    weight_decay: float = 1e-2
    ema: float = 0.995
    clip_norm: float = 5.0
    accumulate: int = 1
    freeze_batch_norm: bool = False
    validate_every: int = 250
    patience: int = 0
    keep: str = "last"
    save_seconds: float = 60.0

    def __post_init__(self) -> None:
        require_kinds(self)
        require_ranges(self, ("batch", "accumulate"), 1)
        require_ranges(self, ("steps", "warmup", "validate_every", "patience", "save_seconds", "weight_decay"), 0)
        for name in ("learning_rate", "clip_norm"):
            require(self, name, getattr(self, name) > 0, "greater than 0")
        require(self, "ema", 0 <= self.ema < 1, "from 0 to below 1")
        require(self, "keep", self.keep in _KEEP, " or ".join(_KEEP))
        check_choice("The optimizer", self.optimizer, OPTIMIZERS)
        check_choice("The schedule of the learning rate", self.schedule, SCHEDULES)
