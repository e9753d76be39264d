"""Where a model comes from: its data with licences and hashes, settings, seed and versions."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np
import SimpleITK
import torch

import Med3DCore
from Med3DCore.training.cases.cache_key import digest, image_digest
from Med3DCore.training.cases.case import AnyCase, Case
from Med3DCore.training.learning.recipe import TrainingSettings


def nameless(cases: Sequence[AnyCase]) -> list[AnyCase]:
    """Cases or nodules without the names of files and patients: a package may be given away, and they can be of people.

    The SHA-256 of the images and labels tells whoever has them which they were.
    """
    patients = list(dict.fromkeys(case.patient for case in cases))
    return [
        replace(case, name=f"case {number}", patient=f"patient {1 + patients.index(case.patient)}")
        for number, case in enumerate(cases, start=1)
    ]


def provenance(training: Mapping[str, TrainingSettings], seed: int, cases: Sequence[Case]) -> dict:
    """Data with licences and hashes, settings of each trained stage, seed and versions."""
    used = [case for case in cases if case.split == "training"]
    return {
        "data_sets": _data_sets(cases),
        "training_cases": {case.name: _fingerprint(case) for case in used},
        "validation_cases": {case.name: _fingerprint(case) for case in cases if case.split == "validation"},
        "seed": seed,
        "training": {name: asdict(settings) for name, settings in training.items()},
        "versions": {
            "Med3DCore": Med3DCore.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "SimpleITK": SimpleITK.Version_VersionString(),
        },
    }


def _data_sets(cases: Sequence[Case]) -> list[dict]:
    sources = {(case.source.get("data", "own data"), case.source.get("licence", "unknown")) for case in cases}
    return [{"name": data, "licence": licence, "attribution": data} for data, licence in sorted(sources)]


def _fingerprint(case: Case) -> dict:
    """Who the case is and SHA-256 of its files, so that a model can be traced to its data."""
    hashes: dict[str, str | list[str]] = {"image_sha256": image_digest(case.image, "sha256")}
    if case.channels:
        hashes["channels_sha256"] = [image_digest(file, "sha256") for file in case.channels]
    if case.label:
        hashes["label_sha256"] = digest(case.label, "sha256")
    return {
        "patient": case.patient,
        "annotated": list(case.annotated),
        "labelled_by": case.source.get("labels", "unknown"),
        **hashes,
    }
