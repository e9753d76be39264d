"""Domains of a co-training: which data sets, what is learned of each, and how, as a JSON recipe says it.

A domain is one data set with its own modality, spacing, normalisation, labels and decoder branch (papers.md A1, A2).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from Med3DCore.errors import DataError, SettingError, fault_in_settings
from Med3DCore.models.package import ModelPackage
from Med3DCore.models.package_file import check_description
from Med3DCore.progress import Progress
from Med3DCore.training.cases.case import Case, training_spacings
from Med3DCore.training.data_sets import read_data_set
from Med3DCore.training.learning.recipe import StageRecipe, TrainingSettings, package_of, stage_from_dict

DEFAULTS = {"decoder": {"name": "upsample"}, "spacing": "median", "intensity": {"name": "percentile"}}

# What a domain may set for itself: how its patches are drawn.
_OF_PATCHES = {"patch", "batch", "foreground", "anybody", "augmentation", "region"}


@dataclass(frozen=True)
class Domain:
    """One data set of a co-training.

    Args:
        name: Such as ``"liver"``; also the ``domain`` of its cases in a data set of several domains.
        folder: Name of the folder of its data set, where it has one of its own.
        parts: Label to the names of what it is made of in the data set: ``{"liver": ("liver", "cancer")}``.
        recipe: Its branch as a stage; the spacing may still be a rule of :func:`.domain_spacing`.
    """

    name: str
    folder: str
    parts: dict[str, tuple[str, ...]]
    recipe: StageRecipe

    def take(self, case: Case) -> Case:
        """A case of the data set with the domain's labels, and a name that no other domain has."""
        own = {name: _together(case, parts) for name, parts in self.parts.items() if set(parts) <= set(case.values)}
        return replace(
            case,
            name=f"{self.name}/{case.name}",
            domain=self.name,
            values=case.values | own,
            annotated=tuple(name for name in own if set(self.parts[name]) <= set(case.annotated)),
            absent=tuple(name for name, parts in self.parts.items() if set(parts) <= set(case.absent)),
        )

    def stage(self, cases: Sequence[Case]) -> StageRecipe:
        """Its branch, at the spacing that follows from its training cases.

        Raises:
            SettingError: The spacing is neither three numbers nor a known rule.
            VolumeError: A header cannot be read.
        """
        return self.recipe.at(training_spacings(cases))


@dataclass(frozen=True)
class CoTrainingRecipe:
    """An encoder and the domains that teach it.

    Args:
        model: Everything of the encoder's package that is known beforehand: name, version, title, description, ...
        encoder: As the ``"encoder"`` of a network's description.
        domains: The domains.
        training: Steps, learning rate and so on; a domain may have its own patch, batch and augmentation.
        alpha: A domain of N training cases is drawn with a chance in proportion to ``N ** alpha``: 0 draws all equally
            often, 1 every case. The paper does not say how it draws.
        settle: Part of the training, of its steps or time, after which batch norm in the encoder uses its running
            statistics.
        held_out: Share of the patients of a domain that are kept for validation where its data set keeps none.
        seed: Seed of everything random.
    """

    model: dict
    encoder: dict
    domains: tuple[Domain, ...]
    training: TrainingSettings
    alpha: float = 0.5
    settle: float = 0.25
    held_out: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        names = [domain.name for domain in self.domains]
        if not names or len(set(names)) < len(names):
            raise SettingError("A co-training needs at least one domain, each with a name of its own.")
        for name, value, most in (
            ("alpha", self.alpha, 2),
            ("settle", self.settle, 1),
            ("held_out", self.held_out, 0.9),
        ):
            if not 0 <= value <= most:
                raise SettingError(f"The recipe's setting '{name}' is {value}; it must be from 0 to {most}.")
        check_description(self.package)

    @property
    def package(self) -> ModelPackage:
        """The encoder's package as far as it is known before the training.

        Raises:
            SettingError: The description of the model has an unknown or missing entry.
        """
        return package_of(self.model, encoder=self.encoder)

    def chances(self, cases: Mapping[str, Sequence[Case]]) -> np.ndarray:
        """How often each domain is drawn, in their order; sums to 1."""
        counts = [sum(case.split == "training" for case in cases[domain.name]) for domain in self.domains]
        weights = np.asarray(counts, dtype=np.float64) ** self.alpha
        return weights / weights.sum()


def read_co_training(path: Path) -> CoTrainingRecipe:
    """Read a recipe such as ``Resources/Recipes/phantoms8.json``.

    Raises:
        SettingError: It cannot be read, or has an unknown or missing setting, which the sentence names.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8-sig"))
        encoder, training = values["encoder"], values["training"]
        domains = tuple(_domain(entry, encoder, training) for entry in values.pop("domains"))
        return CoTrainingRecipe(**{**values, "domains": domains, "training": domains[0].recipe.training})
    except OSError as error:
        raise SettingError(f"The recipe {path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise SettingError(f"The recipe {path} has a wrong or missing setting: {fault_in_settings(error)}.") from error


def gather_cases(recipe: CoTrainingRecipe, paths: Sequence[Path], progress: Progress) -> dict[str, list[Case]]:
    """The cases of every domain.

    Args:
        recipe: Its domains say where theirs are.
        paths: Data sets of any form that :func:`.read_data_set` knows, or folders that hold the domains' folders.
        progress: Takes warnings.

    Raises:
        DataError: A domain has no training case, or a data set cannot be read.
    """
    found: dict[str, list[Case]] = {domain.name: [] for domain in recipe.domains}
    for path in paths:
        own = [domain for domain in recipe.domains if path.name == domain.folder and path.is_dir()]
        below = [domain for domain in recipe.domains if (path / domain.folder).is_dir()]
        for domain in own or below:
            folder = path if own else path / domain.folder
            found[domain.name] += [domain.take(case) for case in read_data_set(folder, progress=progress)]
        if not own and not below:
            for case in read_data_set(path, progress=progress):
                for domain in recipe.domains:
                    if case.domain == domain.name:
                        found[domain.name].append(domain.take(case))
    for domain in recipe.domains:
        cases = found[domain.name]
        _check_labels(domain, cases)
        if recipe.held_out and not any(case.split == "validation" for case in cases):
            cases = found[domain.name] = _hold_out(cases, recipe.held_out, recipe.seed)
        if not any(case.split == "training" for case in cases):
            raise DataError(
                f"There is no training case for the domain '{domain.name}'; give a folder called {domain.folder}, or a "
                "data set whose cases name it as their domain."
            )
    return found


def _domain(entry: dict, encoder: dict, training: dict) -> Domain:
    values = {**DEFAULTS, **entry}
    name = values.pop("name")
    parts = _parts(values.pop("labels"), name)
    folder = values.pop("folder", name)
    own = dict(values.pop("training", {}))
    common = sorted(set(own) - _OF_PATCHES)
    if common:
        raise ValueError(
            f"the domain '{name}' cannot have its own '{common[0]}', as all domains train one encoder together; only "
            f"{', '.join(sorted(_OF_PATCHES))}"
        )
    settings = {**training, **own}
    stage = {
        "name": name,
        "network": {"encoder": encoder, "decoder": values.pop("decoder"), "out_channels": len(parts)},
        "preprocessing": {"spacing": values.pop("spacing"), "intensity": values.pop("intensity")},
        "labels": list(parts),
        "activation": "sigmoid",
        "window": settings["patch"],
        "training": settings,
    }
    if values:
        raise KeyError(f"unknown setting {sorted(values)} of the domain '{name}'")
    return Domain(name, folder, parts, stage_from_dict(stage))


def _parts(labels: object, domain: str) -> dict[str, tuple[str, ...]]:
    table = labels if isinstance(labels, dict) else {}
    if not table or not all(isinstance(names, list) and names for names in table.values()):
        raise ValueError(
            f"the labels of '{domain}' must each list their names in the data, such as "
            '{"liver": ["liver", "cancer"]}'
        )
    return {label: tuple(names) for label, names in table.items()}


def _together(case: Case, parts: Sequence[str]) -> int | tuple[int, ...]:
    values = [value for part in parts for value in np.atleast_1d(case.values[part]).tolist()]
    return values[0] if len(values) == 1 else tuple(values)


def _check_labels(domain: Domain, cases: Sequence[Case]) -> None:
    for label in domain.parts:
        if cases and not any(label in case.annotated for case in cases):
            known = sorted({name for case in cases for name in case.values})
            raise DataError(
                f"No case of the domain '{domain.name}' has the label '{label}' (in the data: "
                f"{', '.join(domain.parts[label])}); its data set knows {', '.join(known) or 'no label'}."
            )


def _hold_out(cases: Sequence[Case], share: float, seed: int) -> list[Case]:
    """The cases with a share of the patients, at least one if there are two, in the split ``"validation"``."""
    patients = sorted({case.patient for case in cases})
    count = min(max(1, round(share * len(patients))), len(patients) - 1)
    chosen = set(np.random.default_rng(seed).permutation(patients)[:count].tolist())
    return [replace(case, split="validation" if case.patient in chosen else case.split) for case in cases]
