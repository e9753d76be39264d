"""Co-training of Med3D: one encoder learns from many domains at once, each with a branch of its own (papers.md A7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from Med3DCore.inference.device import Device
from Med3DCore.models.package_file import save_package
from Med3DCore.networks.med3d import Med3D, build_med3d
from Med3DCore.preprocessing.preprocessing import Preprocessing
from Med3DCore.progress import Progress
from Med3DCore.training.cases.cache import CaseCache, prepare_cases
from Med3DCore.training.cases.case import Case
from Med3DCore.training.cases.prepared import Prepared
from Med3DCore.training.co_training.domains import CoTrainingRecipe
from Med3DCore.training.learning.optimization import ParameterGroup
from Med3DCore.training.learning.provenance import nameless, provenance
from Med3DCore.training.learning.recipe import StageRecipe
from Med3DCore.training.learning.task import Task, Trained, Validation
from Med3DCore.training.segmentation.checks import require_taught
from Med3DCore.training.segmentation.trainer import SegmentationTask

# Slow enough that the running statistics are of all domains and not of the last few batches.
_MOMENTUM = 0.02


@dataclass(frozen=True)
class DomainBatch:
    """A batch of one domain.

    Args:
        domain: Its name.
        patches: Image and target, as :class:`.SegmentationTask` draws them.
    """

    domain: str
    patches: tuple[Tensor, Tensor]


class CoTraining(Task[Med3D]):
    """Learn the encoder and all branches; each batch is of one domain, drawn anew for every batch.

    Batches of one domain are normalised by that domain's statistics, but in use the encoder has one set for all. With
    CT and MR together the difference is so large that branches which train well find nothing (docs/experiments.md). So
    running statistics change slowly, and after a first part of the training (``settle``) the encoder's batch norm uses
    them, those of all domains, in training, too. The paper does not mention it.

    Args:
        recipe: Encoder, domains, settings.
        stages: Each domain's branch, see :meth:`Med3DCore.training.co_training.domains.Domain.stage`.
        cases: Each domain's cases on its grid.

    """

    name = "co-training"
    idle_parts = True

    def __init__(
        self,
        recipe: CoTrainingRecipe,
        stages: Mapping[str, StageRecipe],
        cases: Mapping[str, Sequence[Prepared]],
    ) -> None:
        self.recipe, self.settled = recipe, False
        self.tasks = {
            name: SegmentationTask(stage, cases[name], recipe.seed * len(stages) + number)
            for number, (name, stage) in enumerate(stages.items())
        }
        self.chances = recipe.chances({name: [case.case for case in prepared] for name, prepared in cases.items()})
        self.identity = [recipe.alpha, recipe.settle, {name: task.identity for name, task in self.tasks.items()}]

    def build(self) -> Med3D:
        """The shared encoder and a branch for each domain."""
        branches = {
            name: (task.recipe.stage.network["decoder"], len(task.recipe.stage.labels))
            for name, task in self.tasks.items()
        }
        network = build_med3d(self.recipe.encoder, branches)
        for norm in _batch_norms(network.encoder):
            norm.momentum = _MOMENTUM
        return network

    def draw(self, number: int) -> DomainBatch:
        """A batch of one domain."""
        rng = np.random.default_rng([self.recipe.seed, number, 8])
        name = list(self.tasks)[rng.choice(len(self.tasks), p=self.chances)]
        return DomainBatch(name, self.tasks[name].draw(number))

    def begin_step(self, fraction: float) -> None:
        """Whether the encoder's batch norm shall use its running statistics."""
        self.settled = fraction >= self.recipe.settle

    def loss(self, network: Med3D, batch: DomainBatch, device: Device) -> Tensor:
        """The loss of the domain's branch."""
        if self.settled:
            for norm in _batch_norms(network.encoder):
                norm.eval()
        return self.tasks[batch.domain].loss(partial(network, domain=batch.domain), batch.patches, device)

    def parameter_groups(self, network: Med3D) -> list[ParameterGroup]:
        """The branches at the full rate, the encoder, which learns in every step, as the settings say."""
        return next(iter(self.tasks.values())).parameter_groups(network)

    def validate(self, network: Med3D, device: Device, progress: Progress) -> Validation:
        """Mean over the domains of their scores, and each case's Dice: ``{domain/label: {case: Dice}}``."""
        scores: list[float] = []
        details: dict[str, dict[str, float]] = {}
        wrong: dict[str, dict[str, float]] = {}
        for name, task in self.tasks.items():
            validation = task.validate(network.network(name).eval(), device, progress)
            details |= {f"{name}/{label}": cases for label, cases in validation.details.items()}
            wrong |= {f"{name}/{label}": cases for label, cases in validation.false_positive_ml.items()}
            if validation.score is not None:
                scores.append(validation.score)
        return Validation(float(np.mean(scores)) if scores else None, details, wrong)


def _batch_norms(network: nn.Module) -> list[nn.BatchNorm3d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm3d)]


def prepare_domains(
    stages: Mapping[str, StageRecipe],
    cases: Mapping[str, Sequence[Case]],
    cache: CaseCache | None = None,
    progress: Progress | None = None,
) -> dict[str, list[Prepared[Case]]]:
    """All cases on the grids of their domains.

    Args:
        stages: Each domain's branch.
        cases: Each domain's cases.
        cache: Where prepared cases are kept, or None to keep them in memory.
        progress: Followed, and may cancel.

    Raises:
        DataError: Image and label of a case do not fit, or no training case of a domain shows where a label is.
        Cancelled: The user stopped.
    """
    progress = progress or Progress()
    prepared = {}
    for name, stage in stages.items():
        preprocessing, labels = Preprocessing.from_dict(stage.stage.preprocessing), stage.stage.labels
        with progress.stage(f"{name}: prepare cases"):
            prepared[name] = prepare_cases(cases[name], preprocessing, labels, cache, progress)
            require_taught(prepared[name], {label: channel for channel, label in enumerate(labels)})
    return prepared


def publish_encoder(
    recipe: CoTrainingRecipe,
    stages: Mapping[str, StageRecipe],
    cases: Mapping[str, Sequence[Case]],
    trained: Trained,
    folder: Path,
) -> Path:
    """Write the encoder as a model package, from which other trainings can start; the branches are left out.

    Args:
        recipe: The recipe.
        stages: Each domain's branch as it was trained.
        cases: Each domain's cases, for the record.
        trained: What training gave.
        folder: Where the package goes.

    Returns:
        The package's file.

    Raises:
        ModelError: The recipe's description of the model is not complete.
        OutputError: The file cannot be written.
    """
    everything = [case for domain in cases.values() for case in domain]
    without = nameless(everything)
    names = {case.name: other.name for case, other in zip(everything, without, strict=True)}
    origin = provenance({name: stage.training for name, stage in stages.items()}, recipe.seed, without)
    origin["domains"] = {
        name: {"preprocessing": stage.stage.preprocessing, "labels": list(stage.stage.labels)}
        for name, stage in stages.items()
    }
    metrics = {
        label: {names[case]: {"dice": dice} for case, dice in dices.items()}
        for label, dices in trained.validation.details.items()
    }
    package = replace(recipe.package, provenance={**origin, "steps": trained.steps}, metrics=metrics)
    weights = {
        name.removeprefix("encoder."): value for name, value in trained.weights.items() if name.startswith("encoder.")
    }
    return save_package(package, {"encoder": weights}, folder)
