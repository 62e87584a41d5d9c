"""How the command behaves: what it says of a wrong call, which options it refuses, how it stops, whose files it names."""

import argparse
import itertools
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import edgebn
from codegen.files import write_files
from edgebn import layers as nn
from edgebn.cli import usage, wording
from edgebn.cli.command import build_parser
from edgebn.cli.main import VERBS, main
from edgebn.errors import LinkError, ModelError
from edgebn.graph import GraphBuilder
from edgebn.passes import lower
from tests import emitted
from tests.conftest import TEST_ALL

pytest.importorskip("h5py", reason="h5py is not installed: the demo's model is a Keras file")

DEMO = Path(edgebn.__file__).parent / "demo_data"
MODEL, SLICE = DEMO / "fashion_mnist.keras", DEMO / "fashion_mnist_slice.npz"
SECONDS = 300


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with a model of each kind, and inputs."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    edgebn.save(edgebn.load(MODEL), folder / "net.edgebn")
    np.save(folder / "x.npy", rng.random((2, 28, 28, 1), np.float32))
    np.savez(folder / "x.npz", a=rng.random((2, 28, 28, 1), np.float32), labels=np.zeros(2, np.int64))
    for name in (
        "net.tflite",
        "net.onnx",
    ):  # known by their names or first bytes; nothing in them is read before options are refused
        (folder / name).write_bytes(b"\0\0\0\0TFL3" + bytes(16) if name.endswith("tflite") else b"onnx")
    builder = GraphBuilder("two", "two.file", "keras", False)
    a, b = (builder.add_input(name, (2, 2, 1)) for name in ("left", "right"))
    graph = builder.finish([builder.add(nn.Add("sum", (a, b), "y"))])
    edgebn.save(lower(graph), folder / "two.edgebn")
    np.savez(folder / "two.npz", left=np.zeros((1, 2, 2, 1), np.float32), right=np.zeros((1, 2, 2, 1), np.float32))
    return folder


def call(capsys, folder, line, *, status):
    """Run a command line with --json, names of files standing for those in the folder; return its object and what people see."""
    words = [str(folder / word) if (folder / word).is_file() else word for word in shlex.split(line)]
    capsys.readouterr()
    assert main([*words, "--json"]) == status, line
    captured = capsys.readouterr()
    return json.loads(captured.out), captured.err


# ---- wrong calls ----


@pytest.mark.parametrize(
    "line",
    [
        "",
        "fly",
        "run net.edgebn",
        "bench net.edgebn --runs many",
        "analyze net.edgebn --input-shape 3,a",
        "generate net.edgebn",
        "generate net.edgebn -o out --main nothing",
        "device",
        "device fly",
        "device info",
        "device info --port a --board b",
        "demo --fast",
        "boards x",
    ],
)
def test_a_wrong_call_with_json_is_one_object_and_code_2(line, files, capsys):
    told, said = call(capsys, files, line, status=2)
    assert list(told) == ["error"]
    assert "\n" not in told["error"]
    assert "usage: edgebn" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("option", ["--json", "--jso", "--js"])
def test_json_is_known_however_it_is_written(option, capsys):
    assert main([option, "run"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]


def test_without_json_a_wrong_call_leaves_standard_output_alone(capsys):
    assert main(["run"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith("edgebn run: error: the following arguments are required: MODEL, INPUT\n")


# ---- options that do nothing ----

USELESS = {
    "run net.edgebn x.npz --input-shape 28,28,1": "--input-shape",
    "run net.edgebn x.npz --custom-layer A=B": "--custom-layer",
    "analyze net.onnx --custom-layer A=B": "--custom-layer",
    "run net.edgebn x.npz --state A=B": "--state",
    "evaluate net.edgebn x.npz --labels labels --compare net.tflite --custom-layer A=B": "--custom-layer",
    "device info --input-shape 1,2 --port nowhere": "--input-shape",
    "device reset --custom-layer A=B --port nowhere": "--custom-layer",
    "device info --state A=B --port nowhere": "--state",
    "run net.edgebn x.npy --key a": "--key",
    "run two.edgebn two.npz --key left": "--key",
    "run two.edgebn two.npz --top 3": "--top",
    "run net.edgebn x.npy --dtype int8": "--dtype",
    "evaluate net.edgebn x.npy --labels y.npy --key a": "--key",
    "evaluate net.edgebn x.npz --labels labels --dtype int8": "--dtype",
    "quantize net.edgebn -o out.edgebn --key a": "--key",
    "quantize net.edgebn -o out.edgebn --limit 2": "--limit",
    "quantize net.edgebn -o out.edgebn --dtype int8": "--dtype",
    "quantize net.edgebn -o out.edgebn --method mse": "--method",
    "quantize net.edgebn -o out.edgebn --calibration x.npy --key a": "--key",
    "quantize net.edgebn -o out.edgebn --calibration x.npy --dtype int8": "--dtype",
    "boards --input-shape 1,2": "--input-shape",
    "analyze net.edgebn -o out.edgebn": "--output",
    "analyze net.edgebn --data x.npy": "--data",
    "analyze net.edgebn --policy compensated": "--policy",
    "analyze net.edgebn --ram 1": "--ram",
    "analyze net.edgebn --flash 1": "--flash",
    "analyze net.edgebn --instructions 1": "--instructions",
    "analyze net.edgebn --labels labels": "--labels",
    "analyze net.edgebn --home x.npy": "--home",
    "analyze net.edgebn --home-key a": "--home-key",
    "analyze net.edgebn --home-scale 1": "--home-scale",
    "analyze net.edgebn --rows a=1": "--rows",
    "analyze net.edgebn --domain a": "--domain",
    "analyze net.edgebn --order iid": "--order",
    "analyze net.edgebn --seed 1": "--seed",
    "analyze net.edgebn --key a": "--key",
    "analyze net.edgebn --scale 1": "--scale",
    "analyze net.edgebn --offset 1": "--offset",
    "analyze net.edgebn --dtype int8": "--dtype",
    "analyze net.edgebn --limit 1": "--limit",
    "analyze net.edgebn --adapt --data x.npz --labels labels --board rpi-pico --key a --domain a": "--key",
    "analyze net.edgebn --adapt --data x.npy --labels labels --board rpi-pico --domain a": "--domain",
    "adapt net.edgebn x.npz --labels labels --home-key a": "--home-key",
    "adapt net.edgebn x.npz --labels labels --home-scale 2": "--home-scale",
    "adapt net.edgebn x.npz --labels labels --rows a=1": "--rows",
    "adapt net.edgebn x.npz --labels labels --home x.npy --home-key a": "--home-key",
    "adapt net.edgebn x.npz --labels labels --key a --domain a": "--key",
    "adapt net.edgebn x.npy --labels y.npy --domain a": "--domain",
    "adapt net.edgebn x.npy --labels y.npy --key a": "--key",
    "adapt net.edgebn x.npz --labels labels --dtype int8": "--dtype",
    "adapt net.edgebn x.npz --labels labels --sequence mixed": "--sequence",
    "adapt net.edgebn x.npz --labels labels --sequence mixed --domain a": "--sequence",
    "generate net.edgebn -o out --policy compensated": "--policy",
    "generate net.edgebn -o out --layout tflm": "--layout",
    "generate net.edgebn -o out --params-only --main link": "--main",
    "generate net.edgebn -o out --params-only --board rpi-pico": "--board",
    "generate net.edgebn -o out --params-only --adapt": "--adapt",
    "generate net.edgebn -o out --params-only --board rpi-pico --baud 9600": "--board",
    "generate net.edgebn -o out --params-only --as make": "--as",
    "generate net.edgebn -o out --params-only --instances": "--instances",
    "generate net.edgebn -o out --adapt --instances": "--instances",
    "generate net.edgebn -o out --params-only --pipeline": "--pipeline",
    "generate net.edgebn -o out --adapt --pipeline": "--pipeline",
    "generate net.edgebn -o out --params-only --pool fast=9": "--pool",
    "generate net.edgebn -o out --params-only --weights-in-ram conv": "--weights-in-ram",
    "analyze net.edgebn --adapt --data x.npz --labels labels --board rpi-pico --weights-in-ram conv": "--weights-in-ram",
    "analyze net.edgebn --adapt --data x.npz --labels labels --board rpi-pico --pool fast=9": "--pool",
    "device evaluate net.edgebn x.npy --labels y.npy --board host --key a": "--key",
    "generate net.edgebn -o out --as make --main link": "--main",
    "generate net.edgebn -o out --as make --baud 9600": "--baud",
    "generate net.edgebn -o out --baud 9600": "--baud",
    "report net.edgebn -o r.html --labels labels": "--labels",
    "report net.edgebn -o r.html --compare net.keras": "--compare",
    "report net.edgebn -o r.html --key a": "--key",
    "report net.edgebn -o r.html --scale 2": "--scale",
    "report net.edgebn -o r.html --offset 2": "--offset",
    "report net.edgebn -o r.html --dtype int8": "--dtype",
    "report net.edgebn -o r.html --limit 2": "--limit",
    "device info --port nowhere --storage .": "--storage",
    "device verify net.edgebn --board host --storage .": "--storage",
    "device run net.edgebn x.npy --board host --storage .": "--storage",
    "device bench net.edgebn --board host --storage .": "--storage",
    "device info net.edgebn --board host --baud 9600": "--baud",
    "device info --port socket://127.0.0.1:9 --baud 9600": "--baud",
    "device verify net.edgebn --board host --scale 2": "--scale",
    "device verify net.edgebn --board host --limit 2": "--limit",
    "device verify net.edgebn --board host --offset 2": "--offset",
    "device verify net.edgebn --board host --dtype int8": "--dtype",
    "device verify net.edgebn --board host --key a": "--key",
    "device info --board host --input-shape 1,2": "--input-shape",
    "device reset --port nowhere --storage .": "--storage",
    "device verify net.edgebn x.npy --board host --key a": "--key",
    "device run net.edgebn x.npy --board host --dtype int8": "--dtype",
    "device adapt net.edgebn x.npy --board host --key a": "--key",
}


@pytest.mark.parametrize("line", USELESS)
def test_an_option_that_does_nothing_is_refused(line, files, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told, said = call(capsys, files, line, status=2)
    assert told["error"].startswith(f"{USELESS[line]} does nothing here: ")
    assert told["error"].endswith(("leave it out", "leave one of them out"))
    assert said == f"edgebn: {told['error']}\n"
    assert not list(tmp_path.iterdir())


def test_every_rule_is_in_the_table_and_names_arguments_that_its_verbs_have():
    parser = build_parser()
    known = {called: {action.dest for action in verb._actions} for called, verb in parsers(parser)}
    for rule in usage.RULES:
        verbs = [called for called in known if not rule.verbs or any(f"{called} ".startswith(f"{verb} ") for verb in rule.verbs)]
        for name in rule.names:
            having = [called for called in verbs if name in known[called]]
            assert having, (rule, name)
            assert any(
                option == usage.option(name) and any(f"{line} ".startswith(f"{called} ") for called in having)
                for line, option in USELESS.items()
            ), (rule, name)


def parsers(parser, called=""):
    """Yield (verb as typed, parser) of every verb and action."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for action in below:
        for name, verb in action.choices.items():
            yield from parsers(verb, f"{called} {name}".strip())
    if not below:
        yield called, parser


def test_defaults_are_not_options_that_were_given():
    arguments = usage.parse(build_parser, ["run", "m", "x"])
    assert arguments.given == {"verb", "model", "input"}
    assert arguments.top == 5
    given = usage.parse(build_parser, ["run", "m", "x", "--top", "5", "--no-winograd"]).given
    assert given == {"verb", "model", "input", "top", "winograd"}


# ---- whose files ----


def test_errors_name_the_file_that_the_user_gave(files, capsys, tmp_path):
    """What an .edgebn file once was made from is no file of this call."""
    model = tmp_path / "mine.edgebn"
    model.write_bytes((files / "net.edgebn").read_bytes())
    assert edgebn.load(model).source != str(model)
    np.save(tmp_path / "bad.npy", np.full((1, 28, 28, 1), np.nan, np.float32))
    np.save(tmp_path / "codes.npy", np.zeros((1, 28, 28, 1), np.int8))
    for line in (
        f"run {model} {tmp_path / 'bad.npy'}",
        f"run {model} {tmp_path / 'codes.npy'}",
        f"quantize {model} -o {tmp_path / 'o.edgebn'} --calibration {tmp_path / 'bad.npy'}",
        f"quantize {model} -o {tmp_path / 'o.edgebn'}",
        f"generate {model} -o {tmp_path / 'o'} --adapt",
        f"generate {model} -o {tmp_path / 'o'} --board microbit",
        f"device adapt {model} {tmp_path / 'bad.npy'} --board host",
    ):
        told, _ = call(capsys, files, line, status=1)
        assert str(model) in told["error"], told
        assert "fashion_mnist" not in told["error"].replace(str(model), ""), told


@pytest.mark.parametrize(
    ("python", "command"),
    [
        ("give it with input_shape=, without the batch axis", "give it with --input-shape, without the batch axis"),
        ("give input_shape=(28, 28, 1)", "give --input-shape 28,28,1"),
        ('like a layer: custom_layers={"A": "BatchNormalization"}', "like a layer: --custom-layer 'A=BatchNormalization'"),
        ("use layout='edgebn', whose offset", "use --layout edgebn, whose offset"),
        ("ask for params_only=True as well", "ask for --params-only as well"),
        ("call fit(scale=False, renorm=False)", "call fit(scale=False, renorm=False)"),
        (
            "leave it out: edgebn.adaptable(..., rows={'a': 0})",
            "leave it out: `edgebn adapt ... --home FILE --rows 'a=0' -o OUT.edgebn`",
        ),
        ("two\nlines\tof  text", "two lines of text"),
    ],
)
def test_errors_name_options_not_pythons_arguments(python, command):
    assert wording.of(ModelError(python), argparse.Namespace()) == command


def test_only_the_whole_name_of_a_file_is_replaced():
    known = argparse.Namespace(known_as={"net.onnx": "/tmp/a.edgebn", "a.edgebn": "b.edgebn"})
    said = wording.of(ModelError("net.onnx: x/net.onnx, mynet.onnx and net.onnx_2 are not (net.onnx)"), known)
    assert said == "/tmp/a.edgebn: x/net.onnx, mynet.onnx and net.onnx_2 are not (/tmp/a.edgebn)"


@pytest.mark.parametrize(
    "url",
    ["socket://127.0.0.1", "socket://127.0.0.1:", "socket://:9", "socket://h:abc", "socket://h:99999", "rfc2217://h", "socket:h:9"],
)
def test_an_address_without_a_port_is_refused_clearly(url, capsys):
    pytest.importorskip("serial", reason="pyserial is not installed")
    assert main(["device", "info", "--port", url]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"edgebn: {url} is no address of a device; give {url.partition(':')[0]}://HOST:PORT")
    assert said.count("\n") == 1


@pytest.mark.parametrize(("url", "why"), [("socket://127.0.0.1:1", "refused"), ("/dev/nowhere", "no such file"), ("", "no name")])
def test_ports_that_cannot_be_opened_say_what_the_system_says(url, why):
    pytest.importorskip("serial", reason="pyserial is not installed")
    with pytest.raises(LinkError, match=f"{why}") as refused, edgebn_connect(url):
        pass
    assert "Errno" not in str(refused.value)


def edgebn_connect(url):
    from edgebn.link import connect

    return connect(url)


# ---- stopping ----


def start(arguments, folder, *, code=None):
    """Start the command with a folder of its own for temporary files, and one to work in."""
    for name in ("temporary", "work"):
        (folder / name).mkdir(exist_ok=True)
    command = [sys.executable, "-c", code] if code else [sys.executable, "-m", "edgebn"]
    environment = {
        **os.environ,
        "TMPDIR": str(folder / "temporary"),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        cwd=folder / "work",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition, process):
    """Wait until something is to be seen of a process; fail if it ends before."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.002)


def stopped(process, number):
    """Signal a process and return its exit code and what it wrote to standard error."""
    process.send_signal(number)
    said = process.communicate(timeout=SECONDS)[1]
    return process.returncode, said


LONG = {
    "demo": ["demo"],
    "generate": ["generate", MODEL, "-o", "out", "--board", "mps2-an386"],
    "device": ["device", "verify", MODEL, "--board", "host", "--samples", "100000"],
}


SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


# Each command by each signal; in the quick run each command by one, and each signal once.
@pytest.mark.parametrize(
    ("verb", "number"), [*itertools.product(LONG, SIGNALS)] if TEST_ALL else [*zip(LONG, SIGNALS, strict=True)]
)
def test_a_stopped_command_leaves_nothing_behind(verb, number, tmp_path):
    """Stopped while it has temporary folders, and compilers or programs of boards that run in them."""
    emitted.board_or_skip("mps2-an386")
    process = start(LONG[verb], tmp_path)
    temporary = tmp_path / "temporary"
    wait_for(lambda: any(path.is_dir() for path in temporary.iterdir()), process)  # Python itself tries the place with a file
    if verb == "device":  # the firmware was built and runs
        wait_for(lambda: any(path.name.startswith("edgebn-emulator") for path in temporary.iterdir()), process)
    assert stopped(process, number) == (128 + number, "edgebn: stopped\n")
    assert not list(temporary.iterdir())
    left = {path.name for path in (tmp_path / "work").iterdir()}
    assert left <= ({"out"} if verb == "generate" else set())
    assert not children_in(tmp_path)


def children_in(folder):
    """Return the processes that work in a folder, once those that are ending have ended."""
    for _ in range(SECONDS * 20):
        found = []
        for path in Path("/proc").glob("[0-9]*/cwd"):
            try:
                where = path.readlink()
            except OSError:
                continue
            if where.is_relative_to(folder):
                found.append(path)
        if not found:
            break
        time.sleep(0.05)
    return found


def test_a_signal_that_comes_twice_does_not_disturb_the_cleaning(tmp_path):
    code = """
import os, signal, sys, time
from edgebn.cli import command
from edgebn.cli.main import main
def execute(argv):
    try:
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(300)
    finally:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
        print("cleaned")
command.execute = execute
sys.exit(main([]))
"""
    process = start([], tmp_path, code=code)
    assert process.communicate(timeout=SECONDS) == ("cleaned\n", "edgebn: stopped\n")
    assert process.returncode == 128 + signal.SIGHUP


def test_signals_that_somebody_handles_already_are_left_alone(tmp_path):
    code = """
import signal, sys
from edgebn.cli.main import main
signal.signal(signal.SIGHUP, signal.SIG_IGN)
print(main(["boards", "--json"]) == 0 and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN, file=sys.stderr)
print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, file=sys.stderr)
"""
    assert start([], tmp_path, code=code).communicate(timeout=SECONDS)[1] == "True\nTrue\n"


@pytest.mark.parametrize("module", ["numpy", "argparse", "edgebn.cli.screen"])
def test_ctrl_c_while_modules_are_imported_shows_no_traceback(module, tmp_path):
    """In the first moments, that is: the signal comes out of an import."""
    code = f"""
import importlib.abc, os, signal, sys
class Interrupting(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
sys.modules.pop({module!r}, None)
from edgebn.cli.main import main
sys.exit(main(["boards"]))
"""
    process = start([], tmp_path, code=code)
    assert process.communicate(timeout=SECONDS) == ("", "edgebn: stopped\n")
    assert process.returncode == 130


def test_the_front_door_imports_next_to_nothing():
    code = "import sys; import edgebn.cli.main; print({'numpy', 'argparse', 'json', 'edgebn.cli.command'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"


def test_every_verb_has_a_module_and_a_parser():
    assert {called.split()[0] for called, _ in parsers(build_parser())} == set(VERBS)


def test_a_folder_is_whole_though_a_signal_comes_while_it_is_written(tmp_path):
    """Between the first file that is moved and the last."""
    code = """
import os, pathlib, signal, sys
from codegen.files import write_files
from edgebn.cli.stopping import StoppedError, stoppable
folder = pathlib.Path("out")
write_files(folder, {f"{i}": "old" for i in range(9)})
replace = pathlib.Path.replace
def moved(self, target):
    os.kill(os.getpid(), signal.SIGTERM)
    return replace(self, target)
pathlib.Path.replace = moved
try:
    with stoppable():
        write_files(folder, {f"{i}": "new" for i in range(3, 12)})
except StoppedError:
    print(sorted(path.name + path.read_text()[:3] for path in folder.iterdir() if len(path.name) < 3))
    print(len(list(pathlib.Path().iterdir())))
"""
    process = start([], tmp_path, code=code)
    said, complained = process.communicate(timeout=SECONDS)
    assert complained == ""
    assert said == f"{sorted(f'{i}new' for i in range(3, 12))}\n1\n"


def test_temporary_folders_go_whenever_a_signal_comes(tmp_path):
    """500 signals at times that spread over making a folder, filling and removing it; with try and finally alone some stay."""
    code = """
import os, random, signal, time
from boards.tidy import temporary_folder
draw, caught = random.Random(0), 0
signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
for _ in range(500):
    try:
        signal.setitimer(signal.ITIMER_REAL, draw.uniform(1e-5, 1e-3))
        with temporary_folder("edgebn-test-") as folder:
            (folder / "file").write_text("text")
        time.sleep(1)
    except KeyboardInterrupt:
        caught += 1
print(caught == 500, os.listdir(os.environ["TMPDIR"]))
"""
    assert start([], tmp_path, code=code).communicate(timeout=SECONDS) == ("True []\n", "")


def test_a_folder_is_as_it_was_when_its_writing_is_stopped(tmp_path, monkeypatch):
    write_files(tmp_path / "out", {"a": "old"})
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    calls = []

    def write_text(self, *args, **options):
        calls.append(self)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return Path.write_bytes(self, args[0].encode())

    monkeypatch.setattr(Path, "write_text", write_text)
    with pytest.raises(KeyboardInterrupt):
        write_files(tmp_path / "out", {"a": "new", "b": "new", "c": "new"})
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
