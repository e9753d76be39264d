"""The engine as a QProcess: answers, order, cancelling, crashes and the restart after them."""

import os
import re
import sys
import time
from pathlib import Path

import pytest

from Med3DCore.errors import Cancelled, ResourceError

pytestmark = pytest.mark.usefixtures("slicer_scene")  # brings the application, which translates


class Answers(list):
    """What was called back, in order."""

    def ask(self, engine, type="info", fields=None, **options):
        return engine.request(type, fields or {}, self.append, self.append, **options)

    def wait(self, count=1):
        from Med3DSegmentationLib.engine.process import processEventsUntil

        end = time.monotonic() + 30
        processEventsUntil(lambda: len(self) >= count or time.monotonic() > end)
        assert len(self) == count
        return self[-1]


@pytest.fixture
def engine(known_engine):
    return known_engine()


def test_nothing_is_called_back_before_the_caller_knows_the_number(engine):
    answers = Answers()
    number = answers.ask(engine)
    assert isinstance(number, int) and not answers and engine.isBusy
    assert answers.wait()["python"] == sys.executable and not engine.isBusy


def test_one_worker_answers_in_order_and_its_log_is_told(engine):
    answers, told = Answers(), []
    engine.logListeners.append(told.append)
    for type in ("info", "nonsense", "models"):
        answers.ask(engine, type)
    answers.wait(3)
    engine.logListeners.remove(told.append)
    assert "python" in answers[0] and answers[1].code == "bad-request" and "models" in answers[2]
    assert any("info" in line for line in told) and list(engine.log)[-len(told) :] == told[-len(engine.log) :]


def test_a_waiting_request_is_cancelled_at_once_and_a_running_one_soon(engine):
    first, second, seen = Answers(), Answers(), []
    fields = {"volume": {}, "organs": ["liver"], "model": "slow"}
    running = first.ask(engine, "segment", fields, onProgress=lambda *step: seen.append(step))
    waiting = second.ask(engine)
    engine.cancel(waiting)
    assert isinstance(second[0], Cancelled)
    _until(lambda: seen)
    process, begin = engine.processId, time.monotonic()
    engine.cancel(running)
    engine.cancel(running)
    assert isinstance(first.wait(), Cancelled) and time.monotonic() - begin < 1.0
    assert seen[0][0] == "waiting" and engine.processId == process


def test_an_engine_that_does_not_listen_is_killed_and_the_next_request_is_done(engine):
    deaf, after, seen = Answers(), Answers(), []
    fields = {"volume": {}, "organs": ["liver"], "model": "deaf"}
    running = deaf.ask(engine, "segment", fields, onProgress=lambda *step: seen.append(step))
    after.ask(engine)
    _until(lambda: seen)
    process, begin = engine.processId, time.monotonic()
    engine.cancel(running)
    assert isinstance(deaf.wait(), Cancelled) and 0.9 < time.monotonic() - begin < 2.0
    assert "python" in after.wait() and engine.processId not in (None, process)


def test_a_crash_is_told_with_its_log_and_the_engine_starts_again(engine):
    from Med3DCore.worker.client import WorkerDied

    answers = Answers()
    answers.ask(engine, "segment", {"volume": {}, "organs": ["liver"], "model": "crash"})
    answers.ask(engine)
    answers.wait(2)
    assert isinstance(answers[0], WorkerDied) and any("segment" in line for line in answers[0].log)
    assert "ended unexpectedly" in str(answers[0]) and "python" in answers[1]


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_an_idle_engine_that_was_killed_is_no_error(engine):
    answers = Answers()
    answers.ask(engine)
    answers.wait()
    os.kill(engine.processId, 9)
    _until(lambda: engine.processId is None)
    answers.ask(engine)
    assert "python" in answers.wait(2)


def test_an_engine_that_ended_because_it_was_idle_starts_again(known_engine):
    engine, answers = known_engine(0.2), Answers()
    for count in (1, 2):
        answers.ask(engine)
        assert "python" in answers.wait(count)
        time.sleep(0.6)  # it ends, and QProcess does not know yet


def test_an_engine_that_cannot_start_says_so(qt):
    from Med3DSegmentationLib.engine.process import EngineProcess

    answers = Answers()
    engine = EngineProcess(["/no/such/PythonSlicer"], qt)
    answers.ask(engine)
    answers.ask(engine)
    answers.wait(2)
    assert all(isinstance(answer, ResourceError) and "/no/such/PythonSlicer" in str(answer) for answer in answers)


def test_closing_ends_the_process_and_answers_everybody(qt):
    from Med3DSegmentationLib.engine.process import EngineProcess

    engine, answers = EngineProcess(qt=qt), Answers()
    answers.ask(engine)
    process = answers.wait() and engine.processId
    answers.ask(engine)
    answers.ask(engine)
    engine.close()
    assert [type(answer) for answer in answers[1:]] == [Cancelled, Cancelled]
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_python_slicer_is_found(monkeypatch, tmp_path):
    from Med3DSegmentationLib.engine.worker_process import findPython

    monkeypatch.setenv("PATH", "")
    monkeypatch.delitem(sys.modules, "slicer", raising=False)
    assert findPython() == sys.executable
    program = tmp_path / "bin" / ("PythonSlicer.exe" if os.name == "nt" else "PythonSlicer")
    program.parent.mkdir()
    program.touch(0o755)
    app = type("app", (), {"slicerHome": str(tmp_path)})
    monkeypatch.setitem(sys.modules, "slicer", type("slicer", (), {"app": app}))
    assert findPython() == str(program)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.delitem(sys.modules, "slicer")
    assert findPython() == str(program)


def _until(isDone):
    from Med3DSegmentationLib.engine.process import processEventsUntil

    end = time.monotonic() + 30
    processEventsUntil(lambda: isDone() or time.monotonic() > end)
    assert isDone()


def test_every_stage_that_a_panel_can_show_has_a_title():
    import Med3DCore
    from Med3DSegmentationLib.engine.progress_texts import stageTitle

    folder = Path(Med3DCore.__file__).parent
    files = [file for room in ("inference", "worker", "preprocessing") for file in (folder / room).rglob("*.py")]
    files += [*(folder / "training" / "fine_tuning").glob("*.py"), folder / "phantom" / "make.py"]
    stages = {name for file in files for name in re.findall(r'\.stage\(f?"([^"]+)"', file.read_text(encoding="utf-8"))}
    assert {"orientation", "{stage.name}: network"} <= stages
    assert not {stage for stage in stages if stageTitle(stage).startswith(stage.rpartition(": ")[2])}
