"""The model card: what a model is, what it was made of, and how well it does, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from Med3DCore.models.package import ModelPackage

_COLUMNS = {
    "dice": "Dice",
    "assd_mm": "ASSD mm",
    "hd95_mm": "HD95 mm",
    "nsd": "NSD 2 mm",
    "volume_ml": "volume mL",
    "reference_volume_ml": "reference mL",
}


def write_card(package: ModelPackage) -> str:
    """The card of a package, from what the package itself says."""
    provenance = package.provenance
    parts = [
        f"# {package.title} ({package.reference})",
        package.description,
        "For research and teaching. Not a medical device; not for diagnosis or treatment.",
        f"Labels: {', '.join(label.title for label in package.labels)}. Modality: {package.modality}. "
        f"Licence of the weights: {package.licence}.",
        "## Held-out cases\n\nPatients of which the model saw nothing in training.",
        *(_metrics_table(name, cases) for name, cases in package.metrics.items()),
        _before(provenance.get("dice_of_parent", {}), package.parent),
        _way(provenance.get("way", 1.0), package.parent),
        "## Training data",
        _table(["labelled", "labels by", "patients", "cases"], _case_rows(provenance["training_cases"])),
        _started(provenance.get("started_from", {})),
        "Sources and licences (training and held-out):\n\n"
        + "\n".join(f"- {source['name']}: {source['licence']}" for source in provenance["data_sets"]),
        "## Settings",
        _table(["stage", "spacing mm", "intensity", "steps", "patch", "batch"], _stage_rows(package)),
        f"Seed {provenance['seed']}. "
        + ", ".join(f"{name} {version}" for name, version in provenance["versions"].items())
        + ". SHA-256 of every image and label, and all settings, are in the package's model.json.",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _metrics_table(label: str, cases: dict[str, dict]) -> str:
    showing = {name: values for name, values in cases.items() if values["reference_volume_ml"]}
    rows = [[name, *(_number(values[key]) for key in _COLUMNS)] for name, values in showing.items()]
    known = [values["dice"] for values in showing.values() if values["dice"] is not None]
    wrong = [f"{values['volume_ml']:.1f} mL in {name}" for name, values in cases.items() if name not in showing]
    parts = [
        f"### {label}",
        _table(["case", *_COLUMNS.values()], rows) if rows else "",
        f"Mean Dice {sum(known) / len(known):.3f}, worst {min(known):.3f}, n = {len(known)}." if known else "",
        f"Found where there is none: {', '.join(wrong)}." if wrong else "",
    ]
    return "\n\n".join(filter(None, parts))


def _before(dice: dict[str, dict[str, float]], parent: str | None) -> str:
    """How the model before did on the same cases."""
    means = ", ".join(f"{name} {sum(cases.values()) / len(cases):.3f}" for name, cases in dice.items() if cases)
    return (
        f"Mean Dice of {parent}, from which it was fine-tuned, on the same cases: {', '.join(means)}." if means else ""
    )


def _way(way: float, parent: str | None) -> str:
    """How far the weights went from the parent's."""
    return f"Its weights lie halfway between those of {parent} and what was learned: less is forgotten." * (way < 1)


def _started(sources: dict[str, str]) -> str:
    """Where the stages that did not start from random weights did."""
    named = ", ".join(f"{stage} from {source}" for stage, source in sources.items())
    return f"Training started: {named}." if named else ""


def _case_rows(cases: dict[str, dict]) -> Iterable[list[str]]:
    """A row for all cases that were labelled alike."""
    alike: dict[tuple[str, str], list[str]] = {}
    for name, case in cases.items():
        alike.setdefault((", ".join(case["annotated"]), case["labelled_by"]), []).append(name)
    for (annotated, by), names in alike.items():
        patients = {cases[name]["patient"] for name in names}
        yield [annotated, by, str(len(patients)), ", ".join(names)]


def _stage_rows(package: ModelPackage) -> Iterable[list[str]]:
    for stage in package.stages:
        settings = package.provenance["training"].get(stage.name, {})
        spacing = " x ".join(f"{v:g}" for v in stage.preprocessing["spacing"])
        intensity = " ".join(str(v) for v in stage.preprocessing["intensity"].values())
        patch = " x ".join(str(n) for n in settings.get("patch", ()))
        yield [stage.name, spacing, intensity, str(settings.get("steps", "")), patch, str(settings.get("batch", ""))]


def _number(value: float | None) -> str:
    if value is None:
        return "undefined"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3f}"


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)
