import sys, contextlib, dataclasses, enum
import numpy as np, pytest
from module_helpers import MODULE, openModule, addModel
from mrml_helpers import addVolume
@pytest.fixture(autouse=True)
def privateModels(monkeypatch, tmp_path): monkeypatch.setenv("MED3D_MODELS", str(tmp_path/"models"))
NON={"inputVolume","segmentation","roi","previewVolume","previewBox"}
@pytest.mark.parametrize("ending",["mrb","mrml"])
def test_all_settings(slicer_gui,tmp_path,ending):
    import slicer, slicer.util, typing
    from Med3DSegmentationLib.regions import boxToRoiNode
    w=openModule(slicer_gui); s=slicer_gui.scene
    a,b,c=[addVolume(s,name=n) for n in "ABC"]
    roi=boxToRoiNode(s,[[0.,0,0],[9.,9,9]],"box"); box=boxToRoiNode(s,[[0.,0,0],[9.,9,9]],"pbox")
    seg=s.AddNewNodeByClass("vtkMRMLSegmentationNode","seg"); seg.CreateDefaultDisplayNodes()
    slicer_gui.process_events(.1)
    p=w.panels["SegmentPanel"].parameterNode
    p.inputVolume=b; slicer_gui.process_events(.05); p.segmentation=seg; p.roi=roi; p.previewVolume=c; p.previewBox=box
    from Med3DSegmentationLib.parameters import TrainingQuality, Med3DParameters
    vals=dict(model="m-1",device="cpu",keepEdits=False,splitLungs=True,allFrames=True,severalVolumes=True,previewOrgan="lungs",previewStage="coarse",previewShowsBox=False,trainingModel="t-1",trainingTitle="T",trainingMinutes=33.0,trainingQuality=TrainingQuality.THOROUGH,trainingRate=0.003,trainingSeed=7,trainingFreezesEncoder=True,trainingShowsChart=False,trainingFiles=['{"name":"x","image":"/x.nii","label":"/y.nii","annotated":["liver"],"use":"CHECK"}'])
    for k,v in vals.items(): setattr(p,k,v)
    names=[n for n in Med3DParameters.__annotations__] if hasattr(Med3DParameters,"__annotations__") else list(vals)
    print("not covered:", set(names)-set(vals)-NON)
    slicer_gui.process_events(.1)
    f=str(tmp_path/("x."+ending)); assert slicer.util.saveScene(f)
    s.Clear(0); slicer_gui.process_events(.1)
    slicer.util.loadScene(f); slicer_gui.process_events(.2)
    p=w.panels["SegmentPanel"].parameterNode
    for k,v in vals.items():
        got=getattr(p,k); assert (list(got) if isinstance(v,list) else got)==v,(k,got,v)
    for k,n in dict(inputVolume="B",segmentation="seg",roi="box",previewVolume="C",previewBox="pbox").items(): assert getattr(p,k) is not None and getattr(p,k).GetName()==n,k
    t=w.panels["TrainPanel"].ui
    print(t.minutesBox.value,t.titleEdit.text,t.qualityBox.currentText,t.chartCheckBox.checked, t.casesTable.rowCount, [c for c in vars(t) if 'ate' in c or 'eed' in c])
    assert t.casesTable.rowCount==1
def test_reload_and_load_in_a_run(slicer_gui,tmp_path):
    import slicer, slicer.util
    saved={n:m for n,m in sys.modules.items() if n.split(".")[0]=="Med3DCore"}
    try:
        w=openModule(slicer_gui); v=addVolume(slicer_gui.scene); addModel(w,"slow"); slicer_gui.process_events(.1)
        f=str(tmp_path/"x.mrb"); assert slicer.util.saveScene(f)
        sp=w.panels["SegmentPanel"]; sp.parameterNode.model="slow"; sp.ui.liverButton.click()
        assert slicer_gui.process_events(30,until=lambda: sp.ui.progressBar.value>5)
        slicer.util.loadScene(f); slicer_gui.process_events(.3)   # adds? in Slicer loadScene clears? 
        print("after load: running",w.services.activity.isRunning,"msg",w.ui.messageLabel.text, slicer_gui.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode"))
        slicer_gui.process_events(2, until=lambda: not w.services.activity.isRunning)
        v2=w.panels["SegmentPanel"].parameterNode.inputVolume; sp.parameterNode.model="slow"; sp.refresh()
        if not w.services.activity.isRunning: sp.ui.liverButton.click()
        slicer_gui.process_events(30,until=lambda: sp.ui.progressBar.value>5); pid=w.engine.processId
        w.onReload(); slicer_gui.process_events(.5)
        new=slicer.util.getModuleWidget("Med3DSegmentation")
        print("old worker", w.engine.processId, "new running", new.services.activity.isRunning)
        assert not new.services.activity.isRunning and w.engine.processId is None
        import os
        with contextlib.suppress(ChildProcessError): os.waitpid(pid, os.WNOHANG)
        assert not os.path.exists(f"/proc/{pid}")
    finally: sys.modules.update(saved)
def test_html(slicer_gui):
    from Med3DSegmentationLib.panels.model_card import cardHtml
    import inspect; print(inspect.getsource(cardHtml)[:1500])
