"""`edgebn live`: films, cameras and sounds through stages that overlap; the answers are those of `edgebn run`."""

import gc
import json
import signal
import subprocess
import sys
import threading
import tracemalloc
import types
from importlib.util import find_spec

import numpy as np
import pytest

import edgebn
from edgebn.cli.main import main
from edgebn.errors import ModelError
from edgebn.live import chain as chains
from edgebn.live import sources
from edgebn.live.chain import Chain, Item, Room
from tests import media
from tests.conftest import TEST_ALL
from tests.demo_model import demo_images, demo_int8

cv2 = pytest.importorskip("cv2")
FRAMES = 1000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("live")
    edgebn.save(media.looker(), place / "looker.edgebn")
    edgebn.save(media.listener(), place / "listener.edgebn")
    media.write_film(place / "film.avi", FRAMES, cv2)
    media.write_wave(place / "tone.wav", media.tone(0.5))
    return place


class Made:
    """A source of pictures made here."""

    losses = 0

    def __init__(self, pictures, *, is_live=False, count=None):
        self.is_live, self._pictures, self._count = is_live, pictures, count
        self.closed = False

    def items(self, stop):
        try:
            for number in range(self._count or len(self._pictures)):
                if stop.is_set():
                    return
                yield self._pictures[number % len(self._pictures)]
        finally:
            self.closed = True


def answer_all(*arguments):
    with Chain(*arguments) as chain:
        while not chain.wait(0.05):
            pass
    return chain


def test_a_film_of_1000_frames_gives_the_answers_of_run(folder, tmp_path, capsys):
    model, film = str(folder / "looker.edgebn"), str(folder / "film.avi")
    assert main(["live", model, "--file", film, "--answers", str(tmp_path / "live.jsonl"), "--json"]) == 0
    state = json.loads(capsys.readouterr().out)
    assert (state["answered"], state["dropped"], state["number"]) == (FRAMES, 0, FRAMES - 1)
    assert main(["run", model, film, "--json"]) == 0
    wanted = json.loads(capsys.readouterr().out)["files"][0]["answers"]
    lines = [json.loads(line) for line in (tmp_path / "live.jsonl").read_text().splitlines()]
    assert [line["number"] for line in lines] == list(range(FRAMES))
    assert [line["answer"] for line in lines] == wanted
    assert len({answer[0]["name"] for answer in wanted}) > 1


def test_a_recording_gives_the_answers_of_run(folder, tmp_path, capsys):
    model, sound = str(folder / "listener.edgebn"), str(folder / "tone.wav")
    assert main(["live", model, "--file", sound, "--answers", str(tmp_path / "live.jsonl"), "--json"]) == 0
    capsys.readouterr()
    assert main(["run", model, sound, sound, "--json"]) == 0
    wanted = json.loads(capsys.readouterr().out)["files"][0]["answers"]
    assert [json.loads(line)["answer"] for line in (tmp_path / "live.jsonl").read_text().splitlines()] == wanted


def test_stages_overlap():
    """The third picture is captured while the first is still being answered."""
    captured, answering, overlapped = threading.Event(), threading.Event(), []

    class Slow(Made):
        def items(self, stop):
            for number in range(3):
                if number == 2:
                    answering.wait(120)
                    captured.set()
                yield media.picture(number)

    pipeline = edgebn.Pipeline(media.looker())
    answer = pipeline.answer

    def slow(*arguments):
        answering.set()
        overlapped.append(captured.wait(120))
        return answer(*arguments)

    pipeline.answer = slow
    with Chain(pipeline, Slow([])) as chain:
        while not chain.wait(0.05):
            pass
    assert overlapped == [True] * 3
    assert chain.shown.answered == 3


def test_of_live_pictures_the_latest_wins():
    room = Room(latest_wins=True)
    for number in range(5):
        room.put(Item(number, np.zeros(1)))
    assert room.take().number == 4
    assert room.dropped == 4
    room.close()
    assert room.take() is None
    assert not room.put(Item(6, np.zeros(1)))


def test_files_wait_for_their_turn():
    room = Room(latest_wins=False)
    brought = []

    def bring():
        for number in range(6):
            room.put(Item(number, np.zeros(1)))
            brought.append(number)

    thread = threading.Thread(target=bring)
    thread.start()
    taken = []
    for _ in range(6):
        taken.append(room.take().number)
        assert len(brought) <= len(taken) + chains.ROOM + 1
    thread.join()
    assert taken == list(range(6))


def test_memory_is_flat():
    """100,000 pictures under EDGEBN_TEST_ALL=1."""
    pictures = [media.picture(number) for number in range(20)]
    count = 100_000 if TEST_ALL else 1_200
    tracemalloc.start()
    try:
        sizes = []

        def note(number, _answer):
            if number in {count // 3, count - 1}:
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])

        with Chain(edgebn.Pipeline(media.looker()), Made(pictures, count=count), note) as chain:
            while not chain.wait(0.1):
                pass
    finally:
        tracemalloc.stop()
    assert chain.shown.answered == count
    assert sizes[1] - sizes[0] < 64 << 10


class Unplugged:
    """Stands in for OpenCV with a camera that goes away after some frames, twice, and is missing for one attempt."""

    def __init__(self):
        self.opened = self.released = 0

    def VideoCapture(self, _which):  # noqa: N802
        self.opened += 1
        return UnpluggedCamera(self, is_open=self.opened != 3)


class UnpluggedCamera:
    def __init__(self, system, *, is_open):
        self._system, self._is_open, self._left = system, is_open, 4

    def isOpened(self):  # noqa: N802
        return self._is_open

    def read(self):
        self._left -= 1
        return (True, media.picture(self._left)) if self._left >= 0 else (False, None)

    def release(self):
        self._system.released += 1


def test_a_camera_that_goes_away_and_comes_back(monkeypatch):
    monkeypatch.setattr(sources, "FIRST_PAUSE", 0.001)
    system = Unplugged()
    camera = sources.Camera(0, system)
    with Chain(edgebn.Pipeline(media.looker()), camera) as chain:
        while camera.losses < 3 or chain.shown.answered < 2:
            assert not chain.wait(0.01)
    assert system.released == system.opened
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("edgebn_")]


def test_a_camera_that_was_never_there():
    class Nothing(Unplugged):
        def VideoCapture(self, _which):  # noqa: N802
            return UnpluggedCamera(self, is_open=False)

    with pytest.raises(ModelError, match="camera 7 cannot be opened"):
        sources.Camera(7, Nothing())


def picamera2_stand_in(frames, *, is_there=True):
    """A module like picamera2: every start gives the next list of `frames`, and then the camera is gone."""
    said = []

    class Picamera2:
        def __init__(self):
            if not is_there:
                raise IndexError("list index out of range")
            said.append("opened")

        def create_video_configuration(self, main):
            return main

        def configure(self, main):
            assert main == {"format": "BGR888"}

        def start(self):
            self._left = iter(frames.pop(0) if frames else [])

        def capture_array(self):
            try:
                return next(self._left)
            except StopIteration:
                raise RuntimeError("camera front end has timed out") from None

        def stop(self):
            raise RuntimeError("camera is gone")

        def close(self):
            said.append("closed")

    module = types.ModuleType("picamera2")
    module.Picamera2 = Picamera2
    return module, said


def test_the_camera_of_a_raspberry_pi(monkeypatch):
    """Through a stand-in for picamera2, which only Raspberry Pi OS has: frames as they are, and it is opened again when lost."""
    monkeypatch.setattr(sources, "FIRST_PAUSE", 0.001)
    pictures = [media.picture(number) for number in range(5)]
    module, said = picamera2_stand_in([pictures[:3], [], pictures[3:]])
    monkeypatch.setitem(sys.modules, "picamera2", module)
    camera, stop, found = sources.PiCamera(), threading.Event(), []
    for frame in camera.items(stop):
        found.append(frame)
        if len(found) == len(pictures):
            stop.set()
    assert np.array_equal(found, pictures)
    assert camera.losses == 2
    assert said.count("opened") == said.count("closed") == 4  # one to see whether it is there


def test_a_raspberry_pi_without_a_camera(monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", picamera2_stand_in([], is_there=False)[0])
    with pytest.raises(ModelError, match=r"cannot be opened by picamera2.*rpicam-hello"):
        sources.PiCamera()


def test_what_a_stage_raises_is_raised_where_somebody_waits():
    wrong = Made([np.zeros((4, 4, 7), np.uint8)])
    with pytest.raises(ModelError):
        answer_all(edgebn.Pipeline(media.looker()), wrong)
    assert wrong.closed


def test_a_chain_that_is_left_early_closes_its_source():
    source = Made([media.picture(0)], count=1 << 40)
    with Chain(edgebn.Pipeline(media.looker()), source) as chain:
        while not chain.shown.answered:
            chain.wait(0.01)
    assert source.closed


def test_it_learns(tmp_path, capsys):
    """--adapt gives the answers of an adapter that sees the same pictures in the same order."""
    images, _ = demo_images()
    from edgebn.preparation.data import Picture

    model = edgebn.adaptable(demo_int8(), images[:200])
    model = edgebn.prepare(model, image=Picture("grey", scale=(1 / 255,)), labels=[str(one) for one in range(10)])
    dim = (images[:60, :, :, 0] * 255 * 0.3).astype(np.uint8)
    pipeline = edgebn.Pipeline(model, adapt=True)
    wanted = [pipeline(picture) for picture in dim]
    assert pipeline.adapter.report().accepted > 0
    found = []
    other = edgebn.Pipeline(model, adapt=True)
    with Chain(other, Made(list(dim)), lambda _number, answer: found.append(answer)) as chain:
        while not chain.wait(0.1):
            pass
    assert found == wanted
    assert chain.learned == pipeline.adapter.report()
    assert found != [edgebn.Pipeline(model)(picture) for picture in dim]


def test_ctrl_c_leaves_nothing(folder, tmp_path):
    """Neither threads, nor a server, nor a file in pieces; the exit code says which signal."""
    # A shell in the background has it ignored, and what it starts too.
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from edgebn.cli.main import main; sys.exit(main(sys.argv[1:]))"
    arguments = [str(folder / "looker.edgebn"), "--camera", str(folder / "film.avi"), "--answers", str(tmp_path / "a.jsonl")]
    served = ["--serve", "127.0.0.1:0"] if find_spec("starlette") and find_spec("uvicorn") else []
    command = [sys.executable, "-c", code, "live", *arguments, *served]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline()  # it shows the first line after a second
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "edgebn: stopped"
    assert "Traceback" not in errors
    for line in (tmp_path / "a.jsonl").read_text().splitlines():
        json.loads(line)


REFUSED = {
    ("listener.edgebn", "--camera", "0"): (1, "the network takes sounds"),
    ("looker.edgebn", "--microphone"): (1, "the network takes pictures"),
    ("looker.edgebn", "--file", "tone.wav"): (1, "the network takes pictures and films"),
    ("listener.edgebn", "--file", "film.avi"): (1, "the network takes sounds"),
    ("listener.edgebn", "--file", "none.wav"): (1, "there is no such file"),
    ("looker.edgebn", "--file", "none.mp4"): (1, "there is no such file"),
    ("looker.edgebn", "--camera", "picamera2"): (1, "apt install python3-picamera2"),
    ("looker.edgebn", "--file", "film.avi", "--token", "x"): (2, "give --serve too"),
    ("looker.edgebn", "--file", "film.avi", "--serve", "here:port"): (2, "give HOST or HOST:PORT"),
    ("looker.edgebn", "--file", "film.avi", "--adapt"): (1, "the model has no source tables"),
}


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_what_is_refused(arguments, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setitem(sys.modules, "picamera2", None)
    status, reason = REFUSED[arguments]
    assert main(["live", *arguments]) == status
    message = capsys.readouterr().err
    assert reason in message
    assert message.count("\n") == 1


MISSING = {
    "cv2": ("looker.edgebn", "--camera", "0", "--camera needs OpenCV; install it with: pip install 'edgebn[video]'"),
    "soundfile": ("listener.edgebn", "--file", "any.flac", "needs soundfile; install it with: pip install 'edgebn[sound]'"),
    "sounddevice": (
        "listener.edgebn",
        "--microphone",
        "--microphone needs sounddevice; install it with: pip install 'edgebn[sound]'",
    ),
    "starlette": (
        "listener.edgebn",
        "--file",
        "tone.wav",
        "--serve",
        "--serve needs starlette; install it with: pip install 'edgebn[web]'",
    ),
    "uvicorn": (
        "listener.edgebn",
        "--file",
        "tone.wav",
        "--serve",
        "--serve needs uvicorn; install it with: pip install 'edgebn[web]'",
    ),
    "PIL": ("looker.edgebn", "--file", "film.avi", "--serve", "needs Pillow; install it with: pip install 'edgebn[images]'"),
}


@pytest.mark.parametrize("module", MISSING)
def test_what_is_not_installed_is_named(module, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "any.flac").write_bytes(b"")
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    *arguments, reason = MISSING[module]
    assert main(["live", *arguments]) == 1
    message = capsys.readouterr().err
    assert reason in message
    assert message.count("\n") == 1


def test_a_microphone_is_heard(monkeypatch):
    """Through a stand-in for sounddevice: there is none on a test machine."""
    samples = media.tone(0.5)

    class Device:
        class PortAudioError(Exception):
            pass

        class InputStream:
            def __init__(self, samplerate, channels, dtype, blocksize):
                assert (samplerate, channels, dtype) == (16000, 1, "int16")
                self._left = samples

            def __enter__(self):
                return self

            def __exit__(self, *_):
                return None

            def read(self, count):
                if not len(self._left):
                    raise Device.PortAudioError("unplugged")
                taken, self._left = self._left[:count], self._left[count:]
                return taken[:, None], False

    monkeypatch.setitem(sys.modules, "sounddevice", Device)
    found = []
    pipeline = edgebn.Pipeline(media.listener())
    with pytest.raises(ModelError, match="the microphone cannot be read: unplugged"):
        answer_all(pipeline, sources.Microphone(16000), lambda _number, answer: found.append(answer))
    assert len(found) > 10
    assert found == edgebn.Pipeline(media.listener())(samples)[: len(found)]
