"""What would break a training, or make its figures wrong, found in a data set before it starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from Med3DCore.preprocessing.spacing import spacing_of
from Med3DCore.progress import Progress
from Med3DCore.training.cases.case import SPLITS, Case
from Med3DCore.training.data_sets.check_case import CheckedCase, Finding, Look, check_case

_ODD_FACTOR = 2.5
# Centres of one organ, beside the body's: nobody's is further from the others' (measured: livers within 35 mm).
_ODD_PLACE_MM = 60.0
_ENOUGH_PLACES = 3


@dataclass
class Check:
    """What was found in a data set.

    Args:
        cases: Every case.
        findings: On the data set as a whole.
    """

    cases: list[CheckedCase]
    findings: list[Finding] = field(default_factory=list)

    def all_findings(self) -> list[Finding]:
        """Those on the whole first, then those on each case."""
        return [*self.findings, *(finding for case in self.cases for finding in case.findings)]

    def breaks(self) -> bool:
        """Whether a training would stop, or its figures be wrong."""
        return any(finding.breaks for finding in self.all_findings())


def check_data_set(
    cases: Sequence[Case], left_out: Iterable[str] = (), look: Look | None = None, progress: Progress | None = None
) -> Check:
    """Read every case as training would and compare them with each other.

    Args:
        cases: The cases; files may be missing.
        left_out: Sentences of the reader about files that are no case.
        look: Called with each case, its image and its label's values, such as to draw them.
        progress: Told after each case; may cancel.
    """
    progress = progress or Progress()
    checked = []
    with progress.stage("check", share=1.0):
        for case in cases:
            checked.append(check_case(case, look))
            progress.update(len(checked) / len(cases))
    check = Check(checked, [Finding("pair", sentence, False) for sentence in left_out])
    for rule in (_names, _splits, _patients, _contents, _labels, _places, _spacings, _modalities):
        rule(check)
    return check


def _grouped(cases: Iterable[CheckedCase], key: Callable[[CheckedCase], object]) -> dict[object, list[CheckedCase]]:
    groups: dict[object, list[CheckedCase]] = {}
    for case in cases:
        groups.setdefault(key(case), []).append(case)
    return groups


def _names(check: Check) -> None:
    for name, cases in _grouped(check.cases, lambda c: c.case.name).items():
        if len(cases) > 1:
            check.findings.append(Finding("bad-data", f"{len(cases)} cases are called '{name}'.", True))


def _splits(check: Check) -> None:
    for checked in check.cases:
        if checked.case.split not in SPLITS:
            checked.find("bad-data", f"Its split is '{checked.case.split}', not {' or '.join(SPLITS)}.", True)
        if not checked.case.weight > 0:
            checked.find("bad-data", f"Its weight is {checked.case.weight:g}; it must be greater than 0.", True)
    if check.cases and not any(checked.case.split == "validation" for checked in check.cases):
        sentence = "No case is held out for validation; divide the patients with med3d dataset split."
        check.findings.append(Finding("patient", sentence, False))


def _patients(check: Check) -> None:
    for patient, cases in _grouped(check.cases, lambda c: c.case.patient).items():
        if len({checked.case.split for checked in cases}) > 1:
            names = ", ".join(checked.case.name for checked in cases)
            sentence = f"Patient '{patient}' is in both splits ({names}); results would look too good."
            check.findings.append(Finding("patient", sentence, True))


def _contents(check: Check) -> None:
    """The same image under two names: perhaps one patient in two splits, and in any case counted twice."""
    for content, cases in _grouped(check.cases, lambda c: c.content).items():
        if not content or len(cases) < 2:
            continue
        names = " and ".join(checked.case.name for checked in cases)
        leaks = len({checked.case.split for checked in cases}) > 1
        if leaks:
            sentence = f"{names} are the same image, in both splits; results would look too good."
        elif len({checked.case.patient for checked in cases}) > 1:
            sentence = f"{names} are the same image under two patients; give them one, or remove one."
        else:
            sentence = f"{names} are the same image."
        check.findings.append(Finding("duplicate", sentence, leaks))


def _labels(check: Check) -> None:
    """A label that nobody shows cannot be learned; one that no held-out case shows cannot be measured."""
    nothing = not any(ml for checked in check.cases for ml in checked.volumes_ml.values())
    for name in dict.fromkeys(name for checked in check.cases for name in checked.case.annotated):
        showing = {checked.case.split for checked in check.cases if checked.volumes_ml.get(name)}
        if "training" not in showing:
            sentence = f"No training case shows where '{name}' is; label it in at least one case."
            check.findings.append(Finding("empty-label", sentence, nothing))
        elif "validation" not in showing and any(c.case.split == "validation" for c in check.cases):
            sentence = f"No held-out case shows '{name}', so nobody will know how well it is found."
            check.findings.append(Finding("empty-label", sentence, False))


def _places(check: Check) -> None:
    """Labels that lie elsewhere in the body, to the side or in depth, than the same label of most other cases.

    Not in height, since scans end where they were wanted to.
    """
    for name in dict.fromkeys(name for checked in check.cases for name in checked.places):
        showing = [checked for checked in check.cases if name in checked.places]
        if len(showing) < _ENOUGH_PLACES:
            continue
        centres = np.array([checked.places[name].centre_mm[:2] for checked in showing])
        distances = np.linalg.norm(centres - np.median(centres, axis=0), axis=1)
        for checked, distance in zip(showing, distances, strict=True):
            if distance > _ODD_PLACE_MM and not checked.places[name].better:
                sentence = f"Its '{name}' lies {distance:.0f} mm from where the other cases have it; is it mirrored?"
                checked.find("label-place", sentence, False)


def _spacings(check: Check) -> None:
    """Spacings far from the median of the cases that are trained together."""
    readable = [checked for checked in check.cases if checked.geometry is not None]
    for cases in _grouped(readable, lambda c: c.case.domain).values():
        table = np.array([spacing_of(checked.geometry) for checked in cases if checked.geometry is not None])
        median = np.median(table, axis=0)
        for checked, spacing in zip(cases, table, strict=True):
            if np.abs(np.log(spacing / median)).max() > np.log(_ODD_FACTOR):
                sizes = (" x ".join(f"{v:.3g}" for v in values) for values in (spacing, median))
                checked.find("spacing", "Its voxels are {} mm; most others are about {} mm.".format(*sizes), False)


def _modalities(check: Check) -> None:
    """Where nobody said what the images are: those that are unlike the others."""
    unsaid = [checked for checked in check.cases if checked.content and not checked.case.modality]
    for cases in _grouped(unsaid, lambda c: c.case.domain).values():
        others = [checked for checked in cases if not checked.looks_like_ct]
        if 0 < len(others) < len(cases) / 2:
            for checked in others:
                checked.find("modality", "Its values are not Hounsfield units, while most others' are.", False)
