"""``model.json``: text to checked plain values and back."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from Med3DCore.errors import ModelError
from Med3DCore.models.kinds import CLASSIFYING, KINDS, SCAN_CLASSIFYING
from Med3DCore.models.schema import model_schema, problems

SCHEMA_VERSION = 1


def document_to_bytes(document: dict, name: str) -> bytes:
    """UTF-8 JSON with sorted keys, so that equal content gives equal bytes.

    Args:
        document: Everything that ``model.schema.json`` asks for.
        name: What to call the package in messages.

    Raises:
        ModelError: A value is not JSON, not finite, or does not fit the schema.
    """
    try:
        text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"The description of {name} cannot be stored: {error}; use texts, finite numbers, lists, objects and null."
        ) from error
    data = (text + "\n").encode()
    document_from_bytes(data, name)
    return data


def document_from_bytes(data: bytes, name: str) -> dict:
    """Read and check a ``model.json``.

    Raises:
        ModelError: It is not JSON, of an unknown schema version, or its parts do not fit together.
    """
    try:
        document = json.loads(data, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{name} is damaged: its model.json cannot be read; get the file again.") from error
    _check_version(document, name)
    schema = model_schema()
    problem = next(problems(document, schema, schema), None) or next(_contradictions(document), None)
    if problem:
        raise ModelError(f"{name} is not a usable model package: in its model.json {problem}.")
    return document


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value


def _check_version(document: object, name: str) -> None:
    version = document.get("schema_version") if isinstance(document, dict) else None
    if version == SCHEMA_VERSION and not isinstance(version, bool):
        return
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise ModelError(
            f"{name} has model format {version}, but this Med3D reads format {SCHEMA_VERSION}; update Med3D to use it."
        )
    raise ModelError(f"{name} does not say in which model format it is; it is damaged or no Med3D model package.")


def _strange_head(kind: str, head: object) -> str:
    """What is wrong with the decoder of a stage of a model of this kind; nothing if it is right."""
    for its_head, its_kind in KINDS.items():
        if (head == its_head) != (kind == its_kind):
            return f"{'has' if head == its_head else 'lacks'} the decoder '{its_head}' of a {its_kind}"
    return ""


def _contradictions(document: dict) -> Iterator[str]:
    """Parts that fit the schema but not each other, as parts of a sentence."""
    found: dict[str, set[str]] = {}
    for stage in document["stages"]:
        where = f"stage '{stage['name']}'"
        labels = stage["labels"]
        if stage["name"] in found:
            yield f"{where} is there twice"
        head = stage["network"]["decoder"].get("name")
        classifies, strange = head in (CLASSIFYING, SCAN_CLASSIFYING), _strange_head(document["kind"], head)
        if strange:
            yield f"{where} {strange}"
        elif head == CLASSIFYING and stage["activation"] != "softmax":
            yield f"{where} classifies, so its activation must be softmax"
        elif not classifies and (
            (stage["activation"] == "softmax") != (labels[0] == "background") or "background" in labels[1:]
        ):
            yield f"{where} must have 'background' as its first label if it is a softmax, else not at all"
        channels = stage["network"]["encoder"].get("in_channels", 1)
        inputs = stage["preprocessing"]["intensity"].get("channels")
        if channels != (len(inputs) if isinstance(inputs, list) else 1):
            yield f"{where} wants an image of {channels} channels, but a scan has another number"
        if stage["network"]["out_channels"] != len(labels):
            yield f"{where} has {len(labels)} labels but {stage['network']['out_channels']} output channels"
        foreground = set(labels) - {"background"}
        region = stage["region"]
        if region and region["stage"] not in found:
            yield f"{where} needs the region of '{region['stage']}', which is no earlier stage"
        elif region and not foreground & found[region["stage"]]:
            yield f"{where} shares no label with '{region['stage']}', whose region it needs"
        for label in stage["postprocessing"]:
            if label not in foreground:
                yield f"{where} post-processes '{label}', which it does not find"
        found[stage["name"]] = foreground
    names = [label["name"] for label in document["labels"]]
    for name in names:
        if found and not any(name in labels for labels in found.values()):
            yield f"no stage finds the label '{name}'"
        if names.count(name) > 1:
            yield f"the label '{name}' is there twice"
    parts = ["encoder"] if document["kind"] == "encoder" else [*found]
    members = [member["name"] for member in document["members"]]
    wanted = [f"weights/{part}.pt" for part in parts]
    if sorted(name for name in members if name != "card.md") != sorted(wanted) or members.count("card.md") > 1:
        yield f"the members are {', '.join(members)} instead of {', '.join(wanted)}"
