"""What a model is, by what its networks end in."""

from __future__ import annotations

ENCODER = "encoder"
PIPELINE = "pipeline"
CLASSIFIER = "classifier"
SCAN_CLASSIFIER = "scan_classifier"
DETECTOR = "detector"

CLASSIFYING = "classification"
"""Name of the decoder that makes a network a classifier of points."""
SCAN_CLASSIFYING = "scan_classification"
"""Name of the decoder that makes a network a classifier of whole scans."""
DETECTING = "detection"
"""Name of the decoder that makes a network a detector."""

KINDS = {CLASSIFYING: CLASSIFIER, SCAN_CLASSIFYING: SCAN_CLASSIFIER, DETECTING: DETECTOR}
"""What a model is whose decoder is called so; with any other it is a pipeline, which segments."""
