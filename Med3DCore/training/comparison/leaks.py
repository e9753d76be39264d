"""Whether a start has seen the held-out cases, in which case its scores look too good."""

from __future__ import annotations

from collections.abc import Sequence

from Med3DCore.models import Catalogue
from Med3DCore.training.cases.cache_key import image_digest
from Med3DCore.training.cases.case import Case
from Med3DCore.training.comparison.init import Init
from Med3DCore.training.learning.initialization import SCRATCH, is_checkpoint, split_way


def find_leaks(inits: Sequence[Init], cases: Sequence[Case]) -> list[str]:
    """Compare the held-out images with those that each start was trained with, byte by byte.

    Another copy of a scan and another scan of the patient are not found.

    Args:
        inits: The starts.
        cases: All cases; the held-out ones are looked at.

    Returns:
        A sentence for each start that has seen some, and for each of which nobody knows.
    """
    hashes = {_sha256(case): case.name for case in cases if case.split == "validation"}
    sentences = []
    for init in inits:
        if init.source == SCRATCH:
            continue
        if is_checkpoint(init.source):
            sentences.append(f"The file of {init.name} does not say what it learned from: held-out cases, perhaps.")
            continue
        taught = _taught(Catalogue().find(split_way(init.source)[1]).provenance)
        seen = {hashes[case["image_sha256"]] for case in taught if case.get("image_sha256") in hashes}
        if seen:
            sentences.append(
                f"{init.name} has learned from {len(seen)} of the held-out cases ({', '.join(sorted(seen))}), so its "
                "scores look too good."
            )
    return sentences


def _taught(provenance: dict) -> list[dict]:
    """The training cases of a model and of what it was itself made from."""
    parent = provenance.get("parent", {})
    return [*provenance.get("training_cases", {}).values(), *(_taught(parent) if parent else ())]


def _sha256(case: Case) -> str:
    return image_digest(case.image, "sha256")
