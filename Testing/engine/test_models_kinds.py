"""What a model is follows from what its networks end in; each is refused where another one is needed, with advice."""

from __future__ import annotations

import pytest
from training_boxes import CPU

from Med3DCore.errors import ModelError
from Med3DCore.inference.classify import Classifier
from Med3DCore.inference.classify_scan import ScanClassifier
from Med3DCore.models.package import ModelPackage
from Med3DCore.models.stage import Stage


def model(*decoders, **about):
    """A description without weights, of a stage for each decoder."""
    stages = tuple(
        Stage(f"s{number}", {"decoder": {"name": name}}, {}, ("a", "b"), "softmax", (16, 16, 16))
        for number, name in enumerate(decoders)
    )
    words = {"title": "M", "description": "M", "modality": "CT", "licence": "CC0"}
    return ModelPackage(name="m", version="1.0.0", stages=stages, **words, **about)


MODELS = {
    "classifier": model("classification"),
    "scan_classifier": model("scan_classification"),
    "detector": model("detection"),
    "pipeline": model("skip", "upsample"),
    "encoder": model(encoder={"name": "resnet"}),
}


def test_the_kind_is_that_of_all_decoders():
    assert {name: each.kind for name, each in MODELS.items()} == {name: name for name in MODELS}
    assert model("classification", "skip").kind == model("skip", "scan_classification").kind == "pipeline"


@pytest.mark.parametrize("name", [name for name in MODELS if name != "pipeline"])
def test_only_a_pipeline_segments(name):
    words = {"classifier": "a classifier, which paints", "scan_classifier": "med3d classify scan"}
    words |= {"detector": "med3d detect", "encoder": "an encoder to start training from"}
    with pytest.raises(ModelError, match=words[name]):
        MODELS[name].require_pipeline()
    MODELS["pipeline"].require_pipeline()


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        (Classifier, "scan_classifier", "for whole scans, not for points; use `med3d classify scan`"),
        (ScanClassifier, "classifier", "for points, not for whole scans; use `med3d classify run`"),
        *((Classifier, name, "is no classifier; choose") for name in ("detector", "pipeline", "encoder")),
        *((ScanClassifier, name, "no classifier of whole scans") for name in ("detector", "pipeline", "encoder")),
    ],
)
def test_a_classifier_says_which_command_another_model_is_for(kind, name, words):
    with pytest.raises(ModelError, match=words):
        kind(MODELS[name], CPU)
