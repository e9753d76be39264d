"""What a check found, as text for people and as plain values for programs."""

from __future__ import annotations

from dataclasses import asdict

from Med3DCore.training.data_sets.check import Check
from Med3DCore.training.data_sets.check_case import CheckedCase

_MOST_COLUMNS, _MOST_LINES = 4, 20


def check_to_dict(check: Check) -> dict:
    """Plain values for JSON."""
    return {
        "breaks": check.breaks(),
        "findings": [asdict(finding) for finding in check.all_findings()],
        "cases": [_case_to_dict(checked) for checked in check.cases],
    }


def _case_to_dict(checked: CheckedCase) -> dict:
    case, geometry = checked.case, checked.geometry
    return {
        "name": case.name,
        "patient": case.patient,
        "split": case.split,
        "domain": case.domain,
        "modality": case.modality,
        "image": str(case.image),
        "label": None if case.label is None else str(case.label),
        "size": geometry and list(geometry.size),
        "spacing_mm": geometry and list(geometry.spacing),
        "percentiles_1_99": checked.range,
        "volumes_ml": {name: round(ml, 3) for name, ml in checked.volumes_ml.items()},
        "content": checked.content,
    }


def format_check(check: Check) -> str:
    """A table of the cases, with ``!`` and ``?`` before those with findings, and the findings."""
    names = list(dict.fromkeys(name for checked in check.cases for name in checked.case.values))[:_MOST_COLUMNS]
    width = max((len(checked.case.name) for checked in check.cases), default=4)
    head = "".join(f"{name + ' mL':>{max(10, len(name) + 5)}}" for name in names)
    lines = [f"  {'case':<{width}}  {'split':<10}  {'voxels':<15}  {'spacing mm':<18}  {'values':<14}{head}"]
    for checked in check.cases:
        worst = max((finding.breaks for finding in checked.findings), default=None)
        mark = {None: " ", False: "?", True: "!"}[worst]
        lines.append(
            f"{mark} {checked.case.name:<{width}}  {checked.case.split:<10}  {_columns(checked, names)}".rstrip()
        )
    found = check.all_findings()
    lines.append("")
    for breaks, title in ((True, "STOP"), (False, "note")):
        chosen = [finding for finding in found if finding.breaks == breaks]
        lines += [
            f"{title}  {finding.case + ': ' * bool(finding.case)}{finding.sentence}" for finding in chosen[:_MOST_LINES]
        ]
        if len(chosen) > _MOST_LINES:
            lines.append(f"{title}  and {len(chosen) - _MOST_LINES} more, see check.json")
    stops = sum(finding.breaks for finding in found)
    verdict = f"{stops} would break a training" if stops else "nothing would break a training"
    counts = [f"{n} {what}{'s' * (n != 1)}" for n, what in ((len(check.cases), "case"), (len(found), "finding"))]
    lines.append(f"{', '.join(counts)}: {verdict}.")
    return "\n".join(lines)


def _columns(checked: CheckedCase, names: list[str]) -> str:
    if checked.geometry is None or checked.range is None:
        return "cannot be read"
    size = " x ".join(str(n) for n in checked.geometry.size)
    spacing = " x ".join(f"{v:.3g}" for v in checked.geometry.spacing)
    values = "{:.0f} to {:.0f}".format(*checked.range)
    numbers = "".join(f"{_volume(checked, name):>{max(10, len(name) + 5)}}" for name in names)
    return f"{size:<15}  {spacing:<18}  {values:<14}{numbers}"


def _volume(checked: CheckedCase, name: str) -> str:
    """mL of a label, or why there is no such number; a label that nobody annotated has none."""
    if name in checked.case.absent:
        return "absent"
    known = name in checked.case.annotated and name in checked.volumes_ml
    return f"{checked.volumes_ml[name]:.1f}" if known else "-"
