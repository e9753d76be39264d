"""The module's self test runs here as it does in Slicer: found by its name, without network."""

import unittest
from pathlib import Path

MODULE = Path(__file__).resolve().parents[2] / "Med3DSegmentation" / "Med3DSegmentation.py"


def test_it_passes_as_reload_and_test_runs_it(slicer_gui, vtk_messages, caplog):
    import slicer

    caplog.set_level("INFO")
    slicer_gui.load_module(MODULE)
    slicer.selfTests["Med3DSegmentation"](msec=0)
    assert caplog.messages[-1] == "Test passed"
    vtk_messages.expect_clean()


def test_it_is_skipped_without_torch_as_ctest_runs_it(slicer_gui, monkeypatch):
    slicer_gui.load_module(MODULE)
    from Med3DSegmentationLib import self_test

    monkeypatch.setattr(self_test, "findTorch", lambda: False)
    suite = unittest.TestLoader().loadTestsFromName("Med3DSegmentation")  # as slicer.testing.runUnitTest
    result = suite.run(unittest.TestResult())
    assert (result.testsRun, len(result.skipped), result.wasSuccessful()) == (1, 1, True)
