"""Further images of a patient: remembered by the scan, sent to the engine, and what happens when they change or go."""

import pytest
from logic_helpers import Ear, until, voxels
from mrml_helpers import GEOMETRIES, addTransform, addVolume

from Med3DCore.errors import Cancelled, SettingError


def test_the_scan_remembers_them_by_any_name_also_in_a_saved_scene(scene, tmp_path):
    from Med3DSegmentationLib.scene.further_volumes import furtherVolumes, rememberFurther

    names = ["T1 (post; Gd)", "T1+", "T1-", "flair:2"]
    scan, *others = (addVolume(scene, name=f"volume {n}") for n in range(5))
    assert furtherVolumes(scan, names) == [None] * 4 and furtherVolumes(None, names) == [None] * 4
    for name, node in zip(names, others, strict=True):
        rememberFurther(scan, name, node)
    rememberFurther(scan, "T1+", None)
    scene.RemoveNode(others[3])
    assert furtherVolumes(scan, names) == [others[0], None, others[2], None]
    assert furtherVolumes(others[0], names) == [None] * 4
    path = str(tmp_path / "scene.mrml")
    scene.SetURL(path)
    scene.Commit()
    scene.Clear(0)
    assert scene.Import()
    scan = scene.GetFirstNodeByName("volume 0")
    read = [node and node.GetName() for node in furtherVolumes(scan, names)]
    assert read == ["volume 1", None, "volume 3", None]


def test_they_are_sent_in_their_order_as_they_lie_in_the_world(scene, logic):
    scan, one, other = (addVolume(scene, name=name) for name in ("scan", "one", "other"))
    voxels(other)[:] = 7
    result = logic.segment(scan, ["liver"], model="reveal", channels=[other, one], wait=True)
    assert result.warnings[1] == "other at 7.000" and result.warnings[2].startswith("one at ")
    assert len(logic.segment(scan, ["liver"], model="reveal", wait=True).warnings) == 1


def test_one_that_changes_meanwhile_is_told_and_one_that_goes_stops_it(scene, logic):
    scan, other, ear = addVolume(scene), addVolume(scene, name="T1"), Ear()
    logic.segment(scan, ["liver"], channels=[other], **ear.callbacks)
    until(lambda: ear.steps)
    voxels(other)[0] += 1
    other.GetImageData().Modified()
    until(lambda: ear.results)
    assert ear.results[0].warnings[-1].startswith("The voxels of T1 were changed while it was being segmented")
    gone = Ear()
    logic.segment(scan, ["liver"], model="slow", channels=[other], **gone.callbacks)
    until(lambda: gone.steps)
    scene.RemoveNode(other)
    until(lambda: gone.errors)
    assert isinstance(gone.errors[0], Cancelled) and str(gone.errors[0]).startswith("T1 was removed from the scene")
    with pytest.raises(SettingError, match="T1 is not in the scene any more"):
        logic.segment(scan, ["liver"], channels=[other])


def test_why_volumes_cannot_go_together(scene, qt):
    from Med3DSegmentationLib.panels.together import whyNotTogether

    names = ["flair", "t1", "t2"]
    flair, t1, t2 = (addVolume(scene, name=name.upper()) for name in names)
    assert whyNotTogether(names, [flair, t1, t2]) == ""
    missing = whyNotTogether(names, [flair, None, None])
    assert missing == "The model looks at 3 images of a patient at once; choose the volume for t1."
    assert whyNotTogether(names, [flair, t1, flair]).startswith("FLAIR is chosen for flair and for t2;")
    oblique = addVolume(scene, GEOMETRIES["oblique"], "far")
    assert whyNotTogether(names, [flair, t1, oblique]).startswith("far lies on another grid than FLAIR")
    turn = addTransform(scene)
    t1.SetAndObserveTransformNodeID(turn.GetID())
    assert whyNotTogether(names, [flair, t1, t2]).startswith("T1 lies on another grid than FLAIR")
    for node in (flair, t2):
        node.SetAndObserveTransformNodeID(turn.GetID())
    assert whyNotTogether(names, [flair, t1, t2]) == ""
    t2.SetAndObserveImageData(None)
    assert "T2 has no voxels" in whyNotTogether(names, [flair, t1, t2])
