"""The serial link: the host's end against the C end, over simulated lines, pipes, sockets and terminals."""

import os
import pty
import socket
import subprocess
import sys
import termios
import threading
import time
import tty
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from cobs import cobs
from hypothesis import given
from hypothesis import strategies as st

import codegen
from edgebn.errors import LinkError
from edgebn.link import Patience, UnknownRequestError, connect
from edgebn.link import port as link_port
from edgebn.link.device import Device
from edgebn.link.frame import MAX_PAYLOAD, Frame, Kind, decode
from edgebn.link.port import Line, open_port
from tests.link_device import INPUT, LAYER_BYTES, OUTPUT, STATE, STEPS, TICKS, Library, Noise, SimulatedPort, build, expected, meet

C = Path(codegen.__file__).parent / "c"
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
PATIENT = Patience(boot=120.0, request=120.0)  # with devices that are programs, on a machine that has other things to do
IMPATIENT = Patience(boot=0.2, repeat=0.1, request=0.3, inference=0.3)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return Library(build("link_library", tmp_path_factory.mktemp("link"), "-O2", "-shared", "-fPIC"))


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return build("link_process", tmp_path_factory.mktemp("link"), "-O1", "-g", *SANITIZERS)


@pytest.fixture
def port(library):
    found = SimulatedPort(library)
    found.restart()
    return found


def sample(seed):
    return np.random.default_rng(seed).bytes(INPUT)


# ---- frames ----


@given(st.integers(0, 255), st.integers(0, 65535), st.binary(max_size=MAX_PAYLOAD) | st.builds(bytes, st.integers(0, MAX_PAYLOAD)))
def test_a_frame_survives_the_line(kind, sequence, payload):
    frame = Frame(kind, sequence, payload)
    line = frame.encode()
    assert line[0] == line[-1] == 0
    assert 0 not in line[1:-1]
    assert decode(line[1:-1]) == frame


@given(st.binary(max_size=400))
def test_noise_is_no_frame(noise):
    assert decode(noise) is None


@pytest.mark.parametrize("size", [0, 1, 245, 246, 247, 248, 249, 250, 251, 252, 256])
@pytest.mark.parametrize("filling", [b"\1", b"\0", b"\1\0", b"\0\1"])
def test_c_encodes_as_the_cobs_library(library, size, filling):
    """STATE_GET's answer carries chosen bytes through the C encoder, around the border of COBS's longest block."""
    state = (filling * STATE)[:STATE]
    library.start(with_state=True)
    for offset in (0, 250):
        library.take(Frame(Kind.STATE_PUT, offset, offset.to_bytes(4, "little") + state[offset : offset + 250]).encode())
    library.take(Frame(Kind.STATE_SET, 7, zlib.crc32(state).to_bytes(4, "little")).encode())
    size = min(size, MAX_PAYLOAD - 8)
    line = library.take(Frame(Kind.STATE_GET, 0x1234, bytes(4) + size.to_bytes(2, "little")).encode())
    body = cobs.decode(line[1:-1])
    assert line[1:-1] == cobs.encode(body)
    assert body[4 + 8 : -4] == state[:size]
    assert decode(line[1:-1]).sequence == 0x1234


def test_a_frame_that_is_too_long_is_dropped_and_the_next_one_is_not(library):
    library.start()
    assert library.take(Frame(Kind.INFO, 1, bytes(MAX_PAYLOAD + 1)).encode()) == b""
    assert library.take(b"\0" + b"\xff" * 10_000 + b"\0") == b""
    assert decode(library.take(Frame(Kind.INFO, 2).encode()).strip(b"\0")).sequence == 2


def test_a_frame_of_another_version_is_dropped(library):
    library.start()
    body = bytes([2, Kind.INFO, 0, 0])
    assert library.take(b"\0" + cobs.encode(body + zlib.crc32(body).to_bytes(4, "little")) + b"\0") == b""


def test_a_repeated_request_is_answered_from_memory(library):
    library.start()
    data = sample(1)
    for offset in range(0, INPUT, 250):
        library.take(Frame(Kind.WRITE, offset, offset.to_bytes(4, "little") + data[offset : offset + 250]).encode())
    run = Frame(Kind.RUN, 9, (5).to_bytes(4, "little") + zlib.crc32(data).to_bytes(4, "little") + bytes(9)).encode()
    first = library.take(run)
    assert decode(first.strip(b"\0")).kind == Kind.RUN | 0x80
    assert library.take(run) == first  # a second run would find its input gone
    again = library.take(Frame(Kind.RUN, 10, decode(run.strip(b"\0")).payload).encode())
    assert decode(again.strip(b"\0")).kind == Kind.ERROR


# ---- what a device answers ----


def test_information(port):
    information = meet(port).info()
    assert (information.model, information.board) == ("toy", "test")
    assert information.model_hash == bytes(range(32)).hex()
    assert (information.input_bytes, information.output_bytes, information.arena_bytes) == (INPUT, OUTPUT, INPUT)
    assert (information.ticks_per_second, information.clock_overhead) == (1_000_000, 7)


@pytest.mark.parametrize("seed", range(5))
def test_runs(port, seed):
    device = meet(port)
    data = sample(seed)
    output, layers = expected(data)
    assert device.run(data).output == output
    assert device.run(data).ticks == sum(TICKS)
    timed = device.run_ticks(data)
    assert [(layer.step, layer.size, layer.ticks, layer.data) for layer in timed.layers] == [
        (step, size, ticks, None) for step, size, ticks in zip(STEPS, LAYER_BYTES, TICKS, strict=True)
    ]
    whole = device.run_layers(data)
    assert whole.output == output
    assert [layer.data for layer in whole.layers] == layers
    assert device.reset() == device.info()
    assert device.run(data).output == output


def test_an_input_of_the_wrong_size_is_refused(port):
    with pytest.raises(LinkError, match="takes 605 bytes of input, not 3"):
        meet(port).run(b"abc")


def test_state_is_refused_where_it_is_not_built_in(port):
    device = meet(port)
    with pytest.raises(LinkError, match=r"refuses a request \(state get\): adaptation is not built into its program"):
        device.state()
    with pytest.raises(LinkError, match="adaptation is not built in"):
        device.set_state(bytes(3))


def test_state_goes_there_and_back(library):
    port = SimulatedPort(library)
    port.restart(with_state=True)
    device = meet(port)
    state = np.random.default_rng(3).bytes(STATE)
    device.set_state(state)
    assert device.state() == state
    with pytest.raises(LinkError, match="out of range"):
        device.set_state(bytes(STATE + 1))
    with pytest.raises(LinkError, match="damaged or of another model"):
        device.set_state(state[:-1])  # what stays of the last one makes the checksum wrong
    assert device.state() == state


def test_a_frozen_device_learns_nothing_until_it_goes_on_or_is_reset(library):
    port = SimulatedPort(library)
    port.restart(with_state=True)
    device, data = meet(port), sample(3)

    def learns():
        before = device.state()
        device.learn(data)
        return device.state() != before

    assert (device.is_frozen(), learns()) == (False, True)
    device.freeze()
    assert (device.is_frozen(), learns()) == (True, False)
    device.freeze(False)
    assert (device.is_frozen(), learns()) == (False, True)
    device.freeze()
    device.reset()
    assert (device.is_frozen(), learns()) == (False, True)
    for payload in (b"\2", b"\1\1"):
        answer = decode(library.take(Frame(Kind.STATE_FREEZE, 78, payload).encode()).strip(b"\0"))
        assert answer.payload == bytes([2, Kind.STATE_FREEZE])
    assert not device.is_frozen()


def test_a_program_older_than_freezing_refuses_it_and_is_not_frozen(library):
    class Older:
        def take(self, data):
            frame = decode(data.strip(b"\0"))
            if frame.kind != Kind.STATE_FREEZE:
                return library.take(data)
            return Frame(Kind.ERROR, frame.sequence, bytes([1, frame.kind])).encode()

    library.start(with_state=True)
    device = meet(SimulatedPort(Older()))
    assert not device.is_frozen()
    with pytest.raises(UnknownRequestError, match="older than this edgebn"):
        device.freeze()


@pytest.mark.parametrize(
    ("kind", "payload", "code"),
    [
        (0x7F, b"", 1),
        (Kind.WRITE, b"", 2),
        (Kind.WRITE, b"\xff\xff\xff\xff12", 2),
        (Kind.WRITE, (INPUT - 1).to_bytes(4, "little") + b"12", 2),
        (Kind.RUN, bytes(16), 2),
        (Kind.RUN, bytes(8) + b"\5" + bytes(8), 2),
        (Kind.RUN, bytes(8) + b"\3" + bytes(8), 5),
        (Kind.RUN, bytes(8) + b"\4" + bytes(8), 5),
        (Kind.RUN, b"\1" * 17, 3),
        (Kind.READ, bytes(9), 2),
        (Kind.READ, bytes(4) + b"\xff\xff\xff\xff\1\0", 2),
        (Kind.READ, bytes(8) + b"\xfd\0", 2),
        (Kind.READ, bytes(10), 4),
        (Kind.STATE_SET, bytes(4), 5),
        (Kind.STATE_FREEZE, b"\1", 5),
    ],
)
def test_requests_out_of_range_are_refused(library, kind, payload, code):
    library.start()
    answer = decode(library.take(Frame(kind, 77, payload).encode()).strip(b"\0"))
    assert (answer.kind, answer.sequence, answer.payload) == (Kind.ERROR, 77, bytes([code, kind]))


# ---- trouble ----


def test_a_device_that_resets_in_the_middle_is_asked_again(port):
    device = meet(port)
    resets = iter([2, 4, 5, 9])  # before these writes
    state = {"writes": 0, "next": next(resets)}

    def reset(line):
        state["writes"] += 1
        if state["writes"] == state["next"]:
            state["next"] = next(resets, None)
            line.restart()

    port.on_write = reset
    for seed in range(4):
        data = sample(seed)
        assert device.run_layers(data).output == expected(data)[0]
    assert state["next"] is None


def test_a_step_of_a_sequence_is_one_however_often_it_is_asked_for(port):
    """Lost bytes make the host ask for runs again, and a second look at a run is not the next one."""
    port.restart(with_state=2)
    device = meet(port, repeat=0.2)
    device.begin_sequence()
    port.noise = Noise(1, flip=0.0005, drop=0.0005, double=0.0005, delay=0.0005)
    for step in range(60):
        data = sample(step)
        run = device.run(data)
        assert run.output == expected(data, step)[0]
        if step % 3 == 0:
            again = device.run_layers(data, run)
            assert (again.output, [layer.data for layer in again.layers]) == expected(data, step)
    assert port.noise.damaged > 100
    device.begin_sequence()
    assert device.run_layers(sample(1)).output == expected(sample(1))[0]


def test_a_device_that_resets_in_a_sequence_is_an_error(port):
    port.restart(with_state=2)
    device = meet(port)
    device.begin_sequence()
    assert device.run(sample(0)).output == expected(sample(0))[0]
    port.restart(with_state=2)
    with pytest.raises(LinkError, match="in the middle of a sequence"):
        device.run(sample(1))


def test_a_device_that_resets_without_end_is_an_error(port):
    device = meet(port)
    port.on_write = lambda line: line.restart()
    with pytest.raises(LinkError, match="20 tries at one inference have failed"):
        device.run(sample(0))


def test_a_device_that_hangs_is_an_error_and_works_again_when_it_does(port):
    device = meet(port)
    port.hangs_until = port.seconds + 1000
    with pytest.raises(LinkError, match=r"has not answered a request \(write\) within 10 seconds"):
        device.run(sample(0))
    port.seconds = 1001
    assert device.run(sample(1)).output == expected(sample(1))[0]


def test_another_program_after_a_restart_is_an_error(port):
    device = meet(port)
    other = Frame(Kind.BOOT, 0, bytes(20) + bytes(32) + b"other\0board\0").encode()
    port.on_write = lambda line: line._send(other, to_device=False)
    with pytest.raises(LinkError, match="restarted with another program: other on board"):
        device.run(sample(0))


def test_the_boot_banner_is_waited_for_and_nothing_said_before_it(library):
    port = SimulatedPort(library)
    written = []
    port.on_write = lambda line: written.append(line.seconds)
    device = Device(Line(port, port.clock), Patience())
    port._queue.append((7.5, 0, False, library.start()))
    assert device.meet(booting=True).model == "toy"
    assert min(written) >= 7.5


def test_a_device_without_a_banner_is_an_error(library):
    library.start()
    port = SimulatedPort(library)
    port.hangs_until = 1e9
    with pytest.raises(LinkError, match="has not come up within 20 seconds"):
        Device(Line(port, port.clock), Patience()).meet(booting=True)


@pytest.mark.parametrize("kind", ["flip", "drop", "double", "delay"])
def test_one_kind_of_noise(library, kind):
    port = SimulatedPort(library, Noise(5, **{kind: 0.002}))
    port.restart()
    device = meet(port)
    for seed in range(20):
        data = sample(seed)
        whole = device.run_layers(data)
        assert (whole.output, [layer.data for layer in whole.layers]) == expected(data)
    assert port.noise.damaged > 100


# ---- real lines ----


@contextmanager
def running(program, line):
    process = subprocess.Popen([program], stdin=line, stdout=line)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def served_by(program):
    """Serve `program` on a TCP port: yields its number. One client."""
    with socket.create_server(("127.0.0.1", 0)) as listening, running_later(program, listening):
        yield listening.getsockname()[1]


@contextmanager
def running_later(program, listening):
    processes = []

    def serve():
        line, _ = listening.accept()
        with line:
            processes.append(subprocess.Popen([program], stdin=line, stdout=line))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        with socket.socket() as last:  # where nobody came
            last.connect_ex(listening.getsockname())
        thread.join()
        for process in processes:
            process.kill()
            process.wait()


def test_over_a_socket(program):
    data = sample(8)
    with served_by(program) as number, connect(f"socket://127.0.0.1:{number}", patience=PATIENT, booting=True) as device:
        assert device.run(data).output == expected(data)[0]
        assert [layer.data for layer in device.run_layers(data).layers] == expected(data)[1]


def test_over_a_terminal(program):
    near, far = pty.openpty()
    tty.setraw(far)
    data = sample(9)
    try:
        with running(program, near), connect(os.ttyname(far), patience=PATIENT) as device:
            assert device.run(data).output == expected(data)[0]
    finally:
        os.close(near)
        os.close(far)


def test_a_line_that_takes_no_bytes_is_an_error(monkeypatch):
    monkeypatch.setattr(link_port, "WRITE_SECONDS", 0.2)
    near, far = pty.openpty()
    tty.setraw(far)
    try:
        termios.tcflow(far, termios.TCOOFF)  # as flow control does that a hanging device never lifts
        with pytest.raises(LinkError, match="the serial line has failed: Write timeout"), connect(os.ttyname(far)):
            pass
    finally:
        os.close(near)
        os.close(far)


def test_an_echo_is_no_device():
    with pytest.raises(LinkError, match=r"has not answered a request \(info\)"), connect("loop://", patience=IMPATIENT):
        pass


def says(program, tmp_path, monkeypatch, answer=0):
    """Return what connecting to a device complains of that runs a program in Python: `read()` and `say(bytes)` are there.

    No time passes on the line before as many bytes as the answer has are there, however long a device takes to start.
    """
    head = "import os\nread = lambda: os.read(0, 4096)\nsay = lambda data: os.write(1, data)\n"
    (tmp_path / "device.py").write_text(f"#!{sys.executable}\n{head}{program}")
    (tmp_path / "device.py").chmod(0o755)

    class Patiently(Line):
        def __init__(self, port):
            super().__init__(port, lambda: time.monotonic() if self._heard >= answer else 0.0)

    monkeypatch.setattr(link_port, "Line", Patiently)
    with (
        served_by(tmp_path / "device.py") as number,
        pytest.raises(LinkError) as caught,
        connect(f"socket://127.0.0.1:{number}", patience=IMPATIENT),
    ):
        pass
    assert f"socket://127.0.0.1:{number}: the device has not answered a request (info)" in str(caught.value)
    return str(caught.value)


def test_echo_silence_another_program_and_another_version_are_told_apart(tmp_path, monkeypatch):
    assert "nothing came at all: is it switched on" in says("while read(): pass", tmp_path, monkeypatch)
    asked = len(Frame(Kind.INFO, 1).encode())
    assert "what is sent comes back as it is" in says("while data := read(): say(data)", tmp_path, monkeypatch, asked)
    told = says("say(b'Hello from Zephyr\\r\\n')\nwhile read(): pass", tmp_path, monkeypatch, 19)
    assert "19 bytes came that are no frame of this link (they begin with b'Hello from Zephyr" in told
    body = bytes([9, Kind.INFO | 0x80, 0, 0])
    frame = b"\0" + cobs.encode(body + zlib.crc32(body).to_bytes(4, "little")) + b"\0"
    told = says(f"while read(): say({frame!r})", tmp_path, monkeypatch, len(frame))
    assert "it speaks version 9 of the link, and this edgebn version 1" in told


def test_a_port_that_another_program_has_open_is_refused(program):
    near, far = pty.openpty()
    tty.setraw(far)
    try:
        with (
            running(program, near),
            connect(os.ttyname(far), patience=PATIENT),
            pytest.raises(LinkError, match="cannot be opened: another program has it open"),
            connect(os.ttyname(far)),
        ):
            pass
    finally:
        os.close(near)
        os.close(far)


def test_a_line_that_closes_is_an_error(program):
    with served_by(program) as number, connect(f"socket://127.0.0.1:{number}", patience=PATIENT, booting=True) as device:
        device._exchange._line.port._port._socket.shutdown(socket.SHUT_RDWR)
        with pytest.raises(LinkError, match="the serial line has failed"):
            device.run(sample(0))


@pytest.mark.parametrize("url", ["/dev/edgebn-nothing", "socket://127.0.0.1:1", "nonsense://x", "rfc2217://127.0.0.1:1"])
def test_a_line_that_cannot_be_opened_is_an_error(url):
    with pytest.raises(LinkError, match="cannot be opened"), connect(url):
        pass


def test_what_a_device_says_at_once_is_not_lost(monkeypatch):
    """pyserial empties a socket's buffer once it has connected; about one banner in 400 was in it already."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        connecting, ends = socket.create_connection, []

        def greeted(*arguments, **options):
            made = connecting(*arguments, **options)
            ends.append(listening.accept()[0])
            ends[0].sendall(b"hello")
            made.recv(5, socket.MSG_PEEK)  # it is there before pyserial goes on
            return made

        monkeypatch.setattr(socket, "create_connection", greeted)
        port = open_port(f"socket://127.0.0.1:{listening.getsockname()[1]}", baud=115200, timeout=1)
        try:
            assert port.read(5) == b"hello"
        finally:
            port.close()
            ends[0].close()


@pytest.mark.parametrize("adapts", [False, True])
def test_the_state_comes_with_the_code_that_answers_for_it(adapts, tmp_path):
    """Given by one function alone, with nothing to be forgotten; a program without adaptation has no code for it."""
    given, state = ("_adapting", ", &state") if adapts else ("", "")
    (tmp_path / "main.c").write_text(
        f"""#include "edgebn_link.h"
extern const struct edgebn_link_model model;
extern const struct edgebn_link_state state;
extern struct edgebn_link link_;
void start(void);
void start(void) {{
    edgebn_link_init{given}(&link_, &model{state});
    edgebn_link_receive(&link_, 0);
}}
"""
    )
    sources = ["main.c", *(C / file for file in ("edgebn_link.c", "edgebn_frame.c"))]
    kept = ["-ffunction-sections", "-nostdlib", "-no-pie", "-Wl,--gc-sections,--unresolved-symbols=ignore-all,-estart"]
    subprocess.run(["gcc", "-std=c99", "-O1", f"-I{C}", *kept, *sources, "-o", "program"], cwd=tmp_path, check=True)
    names = subprocess.run(["nm", "program"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout.split()
    assert ("answer_state" in names) == adapts
