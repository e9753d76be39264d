"""The stand-in host's parameter nodes: types, checks, and both ways between node and widgets."""

import enum
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
from toy_module import UI


class Organ(enum.Enum):
    LIVER = "liver"
    LUNGS = "lungs"

    def label(self):
        return self.value.title()


def wrapper_class():
    import slicer
    from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

    class Parameters:
        threshold: Annotated[float, WithinRange(-100, 500)] = 100
        organ: Organ = Organ.LUNGS
        flip: bool = True
        folder: Path
        names: list[str]

    Parameters.__annotations__["inputVolume"] = slicer.vtkMRMLScalarVolumeNode
    return parameterNodeWrapper(Parameters)


def test_parameter_node_types_and_checks(slicer_gui, tmp_path):
    import slicer
    from slicer.parameterNodeWrapper import parameterNodeWrapper

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "P")
    values = wrapper_class()(node)
    assert (values.threshold, values.organ, values.flip, values.names) == (100.0, Organ.LUNGS, True, [])
    values.organ, values.flip, values.folder, values.names = Organ.LIVER, False, Path("/x"), ["a", "b"]
    values.inputVolume = slicer.util.addVolumeFromArray(np.zeros((2, 2, 2)), name="CT")
    for name, bad, error in [
        ("threshold", 501, ValueError),
        ("threshold", "1", TypeError),
        ("flip", None, ValueError),
        ("organ", "liver", TypeError),
        ("inputVolume", node, TypeError),
    ]:
        with pytest.raises(error, match=f"Parameter {name}"):
            setattr(values, name, bad)
    with pytest.raises(NotImplementedError, match="Assign a new list"):
        values.names.append("c")
    slicer.util.saveScene(str(tmp_path / "s.mrb"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "s.mrb"))
    again = wrapper_class()(slicer.util.getNode("P"))
    assert (again.organ, again.flip, again.folder, again.names) == (Organ.LIVER, False, Path("/x"), ["a", "b"])
    assert again.inputVolume.GetName() == "CT"
    with pytest.raises(TypeError, match="does not support"):
        parameterNodeWrapper(type("P", (), {"__annotations__": {"x": dict}}))
    with pytest.raises(TypeError, match="lists of nodes"):
        parameterNodeWrapper(type("P", (), {"__annotations__": {"x": list[slicer.vtkMRMLModelNode]}}))
    changes = []
    values.AddObserver("ModifiedEvent", lambda *_: changes.append(1))
    values.names = ["a", "b", "c"]
    assert changes == [1]  # one event an assignment
    with pytest.raises(ValueError, match="reserved"):
        parameterNodeWrapper(type("P", (), {"__annotations__": {"default": int}}))
    assert slicer_gui.slot_errors == []


def test_parameter_node_and_gui_both_ways(load_ui, slicer_gui):
    import slicer

    _widget, ui = load_ui(UI)
    values = wrapper_class()(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"))
    tag = values.connectGui(ui)
    assert (ui.slider.value, ui.slider.minimum, ui.slider.maximum, ui.organ.currentText) == (100, -100, 500, "Lungs")
    ui.slider.value, ui.organ.currentIndex = 250, 0
    assert (values.threshold, values.organ) == (250, Organ.LIVER)
    values.threshold = 30
    assert ui.slider.value == 30
    ct = slicer.util.addVolumeFromArray(np.zeros((2, 2, 2)))
    ui.inputSelector.setCurrentNode(ct)
    assert values.inputVolume is ct
    slicer.mrmlScene.RemoveNode(ct)
    assert values.inputVolume is None
    slicer.mrmlScene.Clear(0)
    values.disconnectGui(tag)
    ui.slider.value = 7
    assert values.threshold != 7
    with pytest.raises(RuntimeError, match="Unable to create GUI connector"):
        values.connectParametersToGui({"organ": ui.slider})
    with pytest.raises(ValueError, match="Cannot find a param"):
        values.connectParametersToGui({"organs": ui.organ})
    assert slicer_gui.slot_errors == []
