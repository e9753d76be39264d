"""The worker as a process, with requests that do what a test needs: order, cancelling, crashes, ends. No torch."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from Med3DCore.errors import Cancelled, Med3DError
from Med3DCore.worker.client import RequestError, WorkerClient, WorkerDied
from Med3DCore.worker.launch import kill_tree, worker_command, worker_environment
from Med3DCore.worker.protocol import End, Failure, Log, Ready, Request, Result, decode_event, encode

posix = pytest.mark.skipif(os.name != "posix", reason="signals and process groups are POSIX")

# A worker with the real server and made-up requests.
SCRIPT = """
import os, subprocess, sys, time
from dataclasses import dataclass
from types import SimpleNamespace
from Med3DCore.errors import VolumeError
from Med3DCore.worker.connection import Connection
from Med3DCore.worker.protocol import ProtocolError
from Med3DCore.worker.server import Server

@dataclass(frozen=True)
class Nothing:
    pass

@dataclass(frozen=True)
class Seconds:
    seconds: float = 60.0

def wait(fields, job):
    with job.progress.stage("waiting", share=1.0):
        for i in range(round(fields.seconds * 100)):
            job.progress.update(i / (fields.seconds * 100))
            time.sleep(0.01)
    return {"waited": fields.seconds}

def chatter(fields, job):
    os.write(1, b"native noise\\n")
    print("python noise")
    subprocess.run([sys.executable, "-c", "print('noise of a child')"])
    job.log("a sentence")
    return {"stdin": os.read(0, 100).decode()}

def spawn(fields, job):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    job.log(str(child.pid))
    time.sleep(60)

def fail(error):
    def run(fields, job):
        raise error
    return run

handlers = {
    "wait": (Seconds, wait),
    "busy": (Seconds, lambda fields, job: time.sleep(fields.seconds)),
    "chatter": (Nothing, chatter),
    "spawn": (Nothing, spawn),
    "abort": (Nothing, lambda fields, job: os.abort()),
    "bad_volume": (Nothing, fail(VolumeError("The scan is flat."))),
    "bug": (Nothing, fail(KeyError("oops"))),
    "exit": (Nothing, fail(SystemExit(3))),
    "memory": (Nothing, fail(MemoryError())),
    "torch_memory": (Nothing, fail(RuntimeError("DefaultCPUAllocator: can't allocate memory"))),
    "full_disk": (Nothing, fail(OSError(28, "No space left on device", "scan.raw"))),
    "no_json": (Nothing, lambda fields, job: {"x": object()}),
}

def find(kind):
    if kind not in handlers:
        raise ProtocolError("no such request")
    return SimpleNamespace(Fields=handlers[kind][0], run=handlers[kind][1])

import faulthandler
faulthandler.enable()
sys.exit(Server(Connection.take_over(), float(sys.argv[1]), find).run())
"""


@pytest.fixture
def command(tmp_path):
    script = tmp_path / "worker.py"
    script.write_text(SCRIPT)
    return lambda idle_seconds=60.0: [sys.executable, str(script), str(idle_seconds)]


@pytest.fixture
def client(command):
    with WorkerClient(command()) as client:
        yield client


class Raw:
    """A worker's pipes, to say what no client would."""

    def __init__(self, command):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=worker_environment()
        )
        self.ready = self.event()

    def send(self, *messages):
        for message in messages:
            self.process.stdin.write(encode(message) if isinstance(message, Request) else message)
        self.process.stdin.flush()

    def event(self, *kinds):
        """The next event, or the next of some kinds."""
        while line := self.process.stdout.readline():
            event = decode_event(line)
            assert event is not None, line
            if not kinds or isinstance(event, kinds):
                return event
        return None

    def end(self):
        """Events until the end of the process, and the exit code."""
        events = list(iter(self.event, None))
        return events, self.process.wait(10)


@pytest.fixture
def raw(command):
    started = []

    def start(*arguments):
        started.append(Raw(command(*arguments)))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()
        each.process.stdin.close()
        each.process.stdout.close()


def begun(raw):
    """Wait until the running request says that it runs."""
    assert raw.event().event == "progress"


def test_ready_comes_first_and_tells_who_and_what(raw):
    worker = raw()
    assert isinstance(worker.ready, Ready) and worker.ready.pid == worker.process.pid
    assert worker.ready.versions["Med3DCore"] and worker.ready.protocol == 1


def test_nonsense_gets_a_sentence_each_and_the_worker_lives_on(raw):
    worker = raw()
    worker.send(b"hello\n", b'{"id": 1}\n', b"x" * (1 << 21) + b"\n")
    worker.send(Request(2, "dance"), Request(3, "wait", {"second": 1}), Request(4, "wait", {"seconds": 0}))
    answers = [worker.event(Failure, Result) for _ in range(6)]
    codes = {answer.id: answer.code for answer in answers if isinstance(answer, Failure)}
    assert codes == {None: "bad-request", 1: "bad-request", 2: "bad-request", 3: "bad-request"}
    assert any("longer than" in answer.sentence for answer in answers if isinstance(answer, Failure))
    assert Result(4, {"waited": 0}) in answers


def test_nothing_that_is_printed_reaches_the_protocol_and_stdin_is_out_of_reach(raw, client):
    worker = raw()
    worker.send(Request(1, "chatter"))
    assert [worker.event(), worker.event()] == [Log(1, "a sentence"), Result(1, {"stdin": ""})]
    client.request("chatter")
    client.close()
    assert {"native noise", "python noise", "noise of a child"} <= set(client.log)


def test_a_request_that_meets_a_worker_at_its_end_is_done_by_the_next(client):
    client.request("shutdown")
    first = client.ready.pid
    assert client.request("wait", seconds=0) == {"waited": 0} and client.ready.pid != first


def test_requests_are_done_one_after_the_other_in_order(raw):
    worker = raw()
    worker.send(*(Request(i, "wait", {"seconds": 0.05}) for i in (3, 1, 2)))
    assert [worker.event(Result).id for _ in range(3)] == [3, 1, 2]


def test_an_id_is_used_once_at_a_time(raw):
    worker = raw()
    worker.send(Request(1, "wait", {"seconds": 0.3}), Request(1, "wait"))
    refusal = worker.event(Failure)
    assert refusal.id == 1 and "already" in refusal.sentence
    assert worker.event(Result) == Result(1, {"waited": 0.3})


@pytest.mark.parametrize(
    "kind, code, sentence",
    [
        ("bad_volume", "bad-volume", "The scan is flat."),
        ("bug", "unexpected", "report it"),
        ("exit", "unexpected", "report it"),
        ("memory", "no-resource", "not enough memory"),
        ("torch_memory", "no-resource", "not enough memory"),
        ("full_disk", "bad-output", "scan.raw cannot be written: No space left on device; make space there"),
        ("no_json", "unexpected", "report it"),
    ],
)
def test_every_failure_is_an_answer_with_a_code_a_sentence_and_a_traceback(client, kind, code, sentence):
    with pytest.raises(RequestError, match=sentence) as caught:
        client.request(kind)
    assert caught.value.code == code and "Traceback" in caught.value.details
    process = client._process
    assert client.request("wait", seconds=0) == {"waited": 0} and client._process is process


def test_progress_is_told_but_not_too_often(client):
    seen = []
    client.request("wait", lambda *step: seen.append(step), seconds=0.5)
    assert 2 <= len(seen) <= 8 and all(stage == "waiting" for stage, _, _ in seen)
    fractions = [fraction for _, fraction, _ in seen]
    assert fractions == sorted(fractions) and seen[-1][2] is not None


@pytest.mark.alone
def test_cancel_stops_the_running_request_within_a_second_and_the_worker_stays(client):
    running = threading.Event()
    stopped = []

    def cancel():
        running.wait(20)
        stopped.append(time.monotonic())
        client.cancel()

    threading.Thread(target=cancel).start()
    with pytest.raises(Cancelled):
        client.request("wait", lambda *step: running.set())
    assert time.monotonic() - stopped[0] < 1.0
    process = client._process
    assert client.request("wait", seconds=0) and client._process is process


def test_waiting_requests_are_cancelled_at_once_each_by_its_id(raw):
    worker = raw()
    worker.send(Request(1, "busy", {"seconds": 1.5}), Request(2, "wait"), Request(3, "wait", {"seconds": 0}))
    worker.send(Request(4, "cancel", {"request": 2}), Request(5, "cancel", {"request": 77}))
    answers = [worker.event(Failure, Result) for _ in range(5)]
    assert [answer.id for answer in answers] == [2, 4, 5, 1, 3]
    assert answers[0].code == "cancelled"
    assert (answers[1].result, answers[2].result) == ({"requests": [2]}, {"requests": []})


def test_shutdown_cancels_answers_and_ends_well(raw):
    worker = raw()
    worker.send(Request(1, "wait"))
    begun(worker)
    worker.send(Request(2, "shutdown"), Request(3, "wait"))
    events, code = worker.end()
    answers = {event.id: event for event in events if isinstance(event, Failure | Result)}
    assert code == 0 and answers[1].code == "cancelled" and answers[2] == Result(2, {})
    assert 3 not in answers or answers[3].code == "ending"
    assert events[-1] == End("It was asked to end.")


@pytest.mark.parametrize("kind, bound", [("wait", 1.5), ("busy", 3.0)])
def test_when_the_client_goes_away_even_a_busy_worker_ends(raw, kind, bound):
    worker = raw()
    worker.send(Request(1, kind))
    time.sleep(0.2)
    begin = time.monotonic()
    worker.process.stdin.close()
    assert worker.process.wait(10) == 0 and time.monotonic() - begin < bound
    worker.process.stdin = open(os.devnull, "wb")  # noqa: PTH123, SIM115 - for the fixture to close


@posix
def test_a_worker_whose_parent_dies_ends_though_stdin_stays_open(command):
    code = "import subprocess, sys; subprocess.call(sys.argv[1:])"
    read, write = os.pipe()
    parent = subprocess.Popen(
        [sys.executable, "-c", code, *command()], stdin=read, stdout=subprocess.PIPE, env=worker_environment()
    )
    os.close(read)
    assert decode_event(parent.stdout.readline()).event == "ready"
    begin = time.monotonic()
    parent.kill()
    rest = parent.stdout.read()  # until the last holder of the pipe, the worker, is gone
    assert time.monotonic() - begin < 3.0
    assert decode_event(rest.splitlines()[-1]) == End("Its client is gone.")
    os.close(write)
    parent.stdout.close()
    parent.wait()


def test_an_idle_worker_ends_and_the_client_starts_another(command):
    with WorkerClient(command(0.3)) as client:
        client.request("wait", seconds=0.6)  # busy is not idle
        first = client.ready.pid
        client._process.wait(10)
        assert client._process.returncode == 0
        client.request("wait", seconds=0)
        assert client.ready.pid != first


@posix
def test_sigterm_ends_in_good_order(raw):
    worker = raw()
    worker.send(Request(1, "wait"))
    begun(worker)
    worker.process.terminate()
    events, code = worker.end()
    assert code == 128 + signal.SIGTERM and events[-1] == End("It was stopped by signal 15.")
    (answer,) = (event for event in events if isinstance(event, Failure))
    assert answer.code == "cancelled" and "signal 15" in answer.sentence


def test_a_crash_is_told_with_the_last_lines_of_the_log_and_the_next_request_restarts(client):
    with pytest.raises(WorkerDied, match="ended unexpectedly") as caught:
        client.request("abort")
    assert caught.value.exit_code != 0 and caught.value.code == "worker-died"
    assert any("abort 1: begin" in line for line in caught.value.log)
    assert any("Fatal Python error: Aborted" in line for line in caught.value.log)
    assert client.request("wait", seconds=0) == {"waited": 0}


@posix
def test_kill_takes_the_children_along(client):
    told = []
    client._on_log = told.append
    answer = []

    def ask():
        try:
            client.request("spawn")
        except Med3DError as error:
            answer.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    while not (pids := [int(line) for line in told if line.isdigit()]):
        time.sleep(0.02)
    client.kill()
    asking.join(10)
    assert isinstance(answer[0], WorkerDied) and answer[0].exit_code == -signal.SIGKILL
    assert _is_gone(pids[0])
    assert client.request("wait", seconds=0)


@posix
def test_a_worker_started_by_a_launcher_can_still_be_killed_whole(tmp_path):
    # As PythonSlicer does: the process that the client starts is not the worker.
    launcher = tmp_path / "launcher.py"
    launcher.write_text("import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))")
    with WorkerClient([sys.executable, str(launcher), *worker_command()]) as client:
        assert client.request("info")["warm"] is False
        assert client.ready.pid != client._process.pid and os.getpgid(client.ready.pid) == client.ready.pid
        kill_tree(client.ready.pid)
        assert _is_gone(client.ready.pid)


def _is_gone(pid):
    """Whether a process is dead, or a zombie that nobody has waited for yet."""
    for _ in range(200):
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
        if not state.strip() or state.startswith("Z"):
            return True
        time.sleep(0.02)
    return False


def test_the_command_line_serves_too():
    lines = b'{"id": 1, "type": "info"}\n'
    code = "import sys; from Med3DCore.cli.main import main; sys.exit(main(['worker', '--idle-minutes', '0.005']))"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=worker_environment(),
    ) as process:
        process.stdin.write(lines)
        process.stdin.flush()
        events = [json.loads(line) for line in process.stdout]
    assert [event["event"] for event in events] == ["ready", "result", "end"]
    assert events[1]["result"]["python"] == sys.executable and process.returncode == 0
