"""What is no program, session, path or number gets one error that says what to do, wherever it is handed over."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import codegen
import edgebn
from edgebn import passes
from edgebn.errors import EdgebnError, ModelError, QuantizationError
from tests.session.test_session import network
from tests.test_tiny import network as tiny

IMAGES = np.random.default_rng(0).normal(0, 1, (40, 8, 8, 3)).astype(np.float32)
TAKERS = {
    "edgebn.Session": edgebn.Session,
    "edgebn.quantize": edgebn.quantize,
    "edgebn.adaptable": lambda given: edgebn.adaptable(given, IMAGES),
    "edgebn.analyze": edgebn.analyze,
    "edgebn.save": lambda given: edgebn.save(given, "nowhere.edgebn"),
    "edgebn.error_table": lambda given: edgebn.error_table(given, given, IMAGES),
    "codegen.emit": lambda given: codegen.emit(given, "nowhere"),
}


@pytest.mark.parametrize("caller", TAKERS)
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("model.onnx", r"not str; load the file first: {0}\(edgebn\.load\('model\.onnx'\)\)"),
        (Path("model.onnx"), r"load the file first: {0}\(edgebn\.load\('model\.onnx'\)\)"),
        (None, "{0} takes a program as edgebn.load returns it, not None$"),
        (3, "not int$"),
        (IMAGES, "not ndarray$"),
        (edgebn.Program, "not the class Program$"),
        (SimpleNamespace(program=network()), r"it has one: {0}\(session\.program\)"),
    ],
    ids=["str", "path", "None", "int", "array", "class", "session"],
)
def test_what_is_no_program_is_told(caller, given, words):
    with pytest.raises(ModelError, match=words.format(caller)):
        TAKERS[caller](given)
    assert not Path("nowhere.edgebn").exists()


class Module:
    """As PyTorch names its own."""


Module.__module__ = "torch.nn.modules.module"


def test_a_pytorch_module_is_told_of_from_torch():
    class Network(Module):
        pass

    with pytest.raises(ModelError, match=r"edgebn\.Session\(edgebn\.from_torch\(module, example\)\)"):
        edgebn.Session(Network())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            "model.edgebn",
            r"takes a session, not str; load the file first: edgebn\.Adapter\(edgebn\.Session\(edgebn\.load\('model\.edgebn'\)\)\)",
        ),
        (network(), r"takes a session, not Program; make one first: edgebn\.Adapter\(edgebn\.Session\(program\)\)"),
        (None, "takes a session, not None$"),
        (edgebn.Session, "takes a session, not the class Session$"),
    ],
    ids=["str", "program", "None", "class"],
)
def test_what_is_no_session_is_told(given, words):
    with pytest.raises(ModelError, match=words):
        edgebn.Adapter(given)


@pytest.mark.parametrize(
    "given", [None, 3, b"model.onnx", "", network(), IMAGES], ids=["None", "int", "bytes", "empty", "program", "array"]
)
def test_what_is_no_path_is_told(given):
    with pytest.raises(ModelError, match=r"edgebn\.load takes the path of a file, not "):
        edgebn.load(given)
    with pytest.raises(ModelError, match=r"edgebn\.save takes the path of a file, not "):
        edgebn.save(network(), given)
    adapter = edgebn.Adapter(edgebn.Session(edgebn.adaptable(passes.lower(tiny()), IMAGES)))
    for use in (adapter.save, adapter.load):
        with pytest.raises(ModelError, match=r"Adapter\.\w+ takes the path of a file, not "):
            use(given)


@pytest.mark.parametrize("threads", [0, -1, 1.0, "2", True, None, [1]])
def test_threads_are_a_positive_whole_number(threads):
    with pytest.raises(ModelError, match="threads="):
        edgebn.Session(network(), threads=threads)


def test_any_integer_type_will_do():
    assert edgebn.Session(network(), threads=np.int8(2)).run(np.zeros((1, 9, 8, 3), np.float32)).shape == (1, 5)


@pytest.mark.parametrize("options", [{"winograd": "no"}, {"winograd": 0}, {"winograd": None}])
def test_flags_are_true_or_false(options):
    with pytest.raises(ModelError, match=r"winograd=.*True or False"):
        edgebn.Session(network(), **options)


@pytest.mark.parametrize(
    "options",
    [
        {"drift_bound": "6"},
        {"drift_bound": None},
        {"drift_bound": float("nan")},
        {"drift_bound": True},
        {"policy": ["moments"]},
        {"policy": 3},
        {"watchdog": "off"},
    ],
)
def test_an_adapters_options_are_checked(options):
    session = edgebn.Session(edgebn.adaptable(passes.lower(tiny()), IMAGES))
    with pytest.raises(ModelError):
        edgebn.Adapter(session, **options)


@pytest.fixture
def native(tmp_path):
    path = tmp_path / "model.edgebn"
    edgebn.save(network(), path)
    return path


def test_options_that_mean_nothing_are_refused(native, tmp_path):
    for options in ({"input_shape": (9, 8, 3)}, {"custom_layers": {"A": "BatchNormalization"}}):
        with pytest.raises(ModelError, match=r"means nothing for an \.edgebn file; leave it out"):
            edgebn.load(native, **options)
    with pytest.raises(QuantizationError, match=r"method='minmax'.*leave it out"):
        edgebn.quantize(passes.lower(tiny()), method="minmax")
    for format_name in ("x.onnx", "x.tflite"):
        (tmp_path / format_name).write_bytes(b"\0\0\0\0TFL3" + bytes(40))
        with pytest.raises(ModelError, match="custom_layers= means nothing"):
            edgebn.load(tmp_path / format_name, custom_layers={"A": "BatchNormalization"})
    assert edgebn.load(native, custom_layers={}).name == "net"


@pytest.mark.parametrize(
    "options",
    [{"input_shape": 3}, {"input_shape": "224"}, {"input_shape": (1.5, 2)}, {"custom_layers": ["A"]}, {"custom_layers": {"A": 1}}],
)
def test_options_of_the_wrong_type_are_told(options, tmp_path):
    (name,) = options
    with pytest.raises(ModelError, match=f"{name}="):
        edgebn.load(tmp_path / "model.keras", **options)


def test_a_native_file_is_known_whatever_its_suffix_is_written_like(native):
    other = native.with_suffix(".EDGEBN")
    native.rename(other)
    assert edgebn.load(other).name == "net"


def test_calibration_that_is_no_data_is_told():
    program = passes.lower(tiny())
    for data in ("images.npy", 3, [None], object(), [], iter([]), np.zeros((0, 8, 8, 3), np.float32)):
        with pytest.raises(EdgebnError, match="calibration data"):
            edgebn.quantize(program, data)
