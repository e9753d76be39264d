"""What the training loop needs of anything that can be learned, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from torch import Tensor, nn

from Med3DCore.inference.device import Device
from Med3DCore.progress import Progress
from Med3DCore.training.learning.optimization import ParameterGroup

Net = TypeVar("Net", bound=nn.Module)


@dataclass(frozen=True)
class Validation:
    """How well a network does on cases that it does not learn from.

    Args:
        score: One number, higher is better; None if there is nothing to measure.
        details: Plain values for the log.
        false_positive_ml: ``{label: {case: mL}}`` of cases that are known not to show the label.
    """

    score: float | None = None
    details: dict[str, Any] = field(default_factory=dict)
    false_positive_ml: dict[str, dict[str, float]] = field(default_factory=dict)


class Task(Protocol[Net]):
    """What is learned, of one class of networks. Subclass it to get the defaults.

    Attributes:
        name: What to call it in progress and messages, such as ``"train liver"``.
        identity: Plain values for JSON that the result depends on besides settings and seed; a checkpoint of another
            identity is refused.
        idle_parts: Whether a batch may leave out a part of the network that learns.
    """

    name: str
    identity: Any
    idle_parts: bool = False

    def build(self) -> Net:
        """The network, with the weights to start from; random ones depend on torch's seed."""

    def draw(self, number: int) -> Any:
        """A batch, which depends on the task and this number (0, 1, ...) alone."""

    def begin_step(self, fraction: float) -> None:  # noqa: ARG002
        """Told before each step how much of the training is done, by steps or by time, 0..1."""
        return

    def loss(self, network: Net, batch: Any, device: Device) -> Tensor:
        """The loss of a batch, a scalar; convolutions in ``device.autocast()``, sums in float32."""

    def validate(self, network: Net, device: Device, progress: Progress) -> Validation:  # noqa: ARG002
        """Measure a network, in evaluation mode, between two checks of the progress at most seconds long."""
        return Validation()

    def parameter_groups(self, network: Net) -> list[ParameterGroup]:
        """Which parameters learn how fast; by default all alike."""
        return [ParameterGroup(tuple(network.parameters()))]

    def pretrained_parts(self, network: Net) -> list[nn.Module]:
        """The parts that were trained before, whose batch norm ``freeze_batch_norm`` keeps; by default all of it."""
        return [network]


@dataclass(frozen=True)
class Trained:
    """What training gives.

    Args:
        weights: State dict of the averaged network, float32 on the CPU.
        validation: Of these weights, if anything was measured.
        steps: Steps done.
        seconds: Time that they and the validations took.
    """

    weights: dict[str, Tensor]
    validation: Validation
    steps: int
    seconds: float
