"""The PyTorch reader without PyTorch: recorded programs against what PyTorch computed, and damaged or hostile files."""

import builtins
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

import edgebn
from edgebn import passes, reference
from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats import torch as reader

RECORDED = Path(__file__).parents[2] / "recorded" / "torch_zoo"
ZOO = sorted(RECORDED.glob("*.pt2"))
MODEL = "model/models/model.json"
WEIGHTS = "model/data/weights/model_weights_config.json"


def channels_last(array):
    return np.moveaxis(array, 1, -1) if array.ndim > 2 else array


@pytest.fixture(scope="module")
def arrays():
    with np.load(RECORDED / "zoo.npz") as archive:
        return dict(archive)


@pytest.mark.parametrize("path", ZOO, ids=lambda path: path.stem)
def test_zoo(path, arrays):
    program = passes.lower(reader.read(path))
    result = reference.run(program, channels_last(arrays[f"{path.stem}/x"]))
    results = [result[name] for name in program.outputs] if isinstance(result, dict) else [result]
    for place, ours in enumerate(results):
        theirs = channels_last(arrays[f"{path.stem}/y{place}"])
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() <= 1e-5 * np.ptp(theirs)
    assert f"{path.stem}/y{len(results)}" not in arrays


def test_the_zoo_is_all_there(arrays):
    assert {path.stem for path in ZOO} == {name.split("/")[0] for name in arrays} - {"versions"}


def test_batch_norms_are_kept_apart_and_named_after_their_modules():
    graph = reader.read(RECORDED / "resnet8.pt2")
    norms = [layer.name for layer in graph.layers if layer.kind == "BatchNorm"]
    assert norms == ["1", "3.bn1", "3.bn2", "4.bn1", "4.bn2", "4.shortcut.1", "5.bn1", "5.bn2", "5.shortcut.1"]
    assert graph.channels_first
    assert graph.format == "torch"
    assert graph.tensors[graph.inputs[0]].shape == (3, 32, 32)


def test_nothing_imports_pytorch_or_unpickles(monkeypatch):
    """The claim of the reader's docstring: a file cannot run code."""
    original = builtins.__import__

    def guarded(name, *arguments, **keywords):
        assert name.split(".")[0] not in {"torch", "pickle"}, name
        return original(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", guarded)
    monkeypatch.setattr("pickle.loads", lambda *_: pytest.fail("unpickled"))
    monkeypatch.setattr("pickle.Unpickler", lambda *_: pytest.fail("unpickled"))
    edgebn.load(RECORDED / "conv2d.pt2")


def test_from_torch_without_pytorch(monkeypatch):
    original = builtins.__import__

    def without(name, *arguments, **keywords):
        if name.split(".")[0] == "torch":
            raise ImportError(name)
        return original(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModelError, match=r"pip install 'edgebn\[torch\]'"):
        edgebn.from_torch(object(), object())


# Damage ---------------------------------------------------------------------------------------------------------------


def members_of(name):
    with zipfile.ZipFile(RECORDED / f"{name}.pt2") as archive:
        return {member: archive.read(member) for member in archive.namelist()}


def written(folder, members):
    path = folder / "changed.pt2"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return path


def edited(folder, name, member, change):
    """Write a recorded file with one of its JSON members changed."""
    members = members_of(name)
    document = json.loads(members[member])
    change(document)
    members[member] = json.dumps(document)
    return written(folder, members)


def nodes(document):
    return document["graph_module"]["graph"]["nodes"]


def test_other_operator_is_refused_by_name_operator_and_hint(tmp_path):
    def change(document):
        nodes(document)[2]["target"] = "torch.ops.aten.scan.default"

    path = edited(tmp_path, "conv2d", MODEL, change)
    with pytest.raises(UnsupportedLayerError, match=r"changed\.pt2: layer '2' \(aten\.scan\.default\): .* runs no loops"):
        edgebn.load(path)


def test_pickled_weight_is_refused(tmp_path):
    def change(document):
        document["config"]["0.weight"]["use_pickle"] = True

    with pytest.raises(ModelError, match=r"'0\.weight' is stored as a pickle.*any code"):
        edgebn.load(edited(tmp_path, "conv2d", WEIGHTS, change))


@pytest.mark.parametrize("name", ["serialized_exported_program.json", "archive/data/weights/model.pt"])
def test_older_formats_are_refused(tmp_path, name):
    with pytest.raises(ModelError, match=r"PyTorch 2\.9 or newer"):
        edgebn.load(written(tmp_path, {name: b"{}"}))


@pytest.mark.parametrize(
    ("name", "member", "change", "message"),
    [
        ("conv2d", MODEL, lambda d: d["schema_version"].update(major=9), "version 9 of PyTorch's format"),
        ("conv2d", MODEL, lambda d: d.pop("graph_module"), "contradicts itself"),
        ("conv2d", MODEL, lambda d: nodes(d).reverse(), "no call before it makes"),
        ("conv2d", MODEL, lambda d: nodes(d).append(nodes(d)[0]), "two layers make the value"),
        ("conv2d", MODEL, lambda d: nodes(d)[0]["inputs"].pop(1), "its weight is missing"),
        ("conv2d", WEIGHTS, lambda d: d["config"].pop("0.weight"), "no weight '0.weight'"),
        ("conv2d", WEIGHTS, lambda d: d["config"]["0.weight"]["tensor_meta"].update(dtype=9), "element type 9"),
        ("conv2d", WEIGHTS, lambda d: d["config"]["0.weight"]["tensor_meta"]["sizes"][0].update(as_int=400), "larger than the"),
        ("conv2d", WEIGHTS, lambda d: d["config"]["0.weight"]["tensor_meta"]["sizes"][0].update(as_int=2**62), "absurd"),
        ("conv2d", WEIGHTS, lambda d: d["config"]["0.weight"]["tensor_meta"]["strides"][0].update(as_int=-27), "larger than the"),
        ("conv2d", WEIGHTS, lambda d: d["config"]["0.weight"].update(path_name="../model.json"), "unpacked"),
        ("conv2d", MODEL, lambda d: nodes(d)[0]["inputs"][3]["arg"].update(as_ints=[0, 1]), "'0'"),
        ("batchnorm_after_conv", MODEL, lambda d: nodes(d)[1]["inputs"][5]["arg"].update(as_bool=True), r"eval\(\)"),
        ("batchnorm_after_conv", MODEL, lambda d: nodes(d)[1]["inputs"][7]["arg"].update(as_float=-9.0), "variance plus epsilon"),
    ],
)
def test_damage(tmp_path, name, member, change, message):
    with pytest.raises(ModelError, match=message):
        edgebn.load(edited(tmp_path, name, member, change))


def test_weights_that_are_not_numbers(tmp_path):
    members = members_of("conv2d")
    members["model/data/weights/weight_0"] = np.full(len(members["model/data/weights/weight_0"]) // 4, np.nan, np.float32).tobytes()
    with pytest.raises(ModelError, match="NaN or infinite"):
        edgebn.load(written(tmp_path, members))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"PK\x03\x04 and no more", "not a .pt2 archive"), (b"weights", "not a .pt2 archive")],
)
def test_no_archive(tmp_path, content, message):
    (tmp_path / "model.pt2").write_bytes(content)
    with pytest.raises(ModelError, match=message):
        edgebn.load(tmp_path / "model.pt2")


def test_archive_of_something_else(tmp_path):
    with pytest.raises(ModelError, match="holds 0 exported programs"):
        edgebn.load(written(tmp_path, {"a/data/aotinductor/model/wrapper.so": b""}))


def test_truncated_files_say_so(tmp_path):
    content = (RECORDED / "linear.pt2").read_bytes()
    for length in range(1, len(content), 97):
        (tmp_path / "model.pt2").write_bytes(content[:length])
        with pytest.raises(ModelError, match=r"not a \.pt2 archive|cannot be unpacked"):
            edgebn.load(tmp_path / "model.pt2")


def test_bomb_is_not_unpacked(tmp_path):
    members = members_of("conv2d")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content if name != "model/data/weights/weight_0" else bytes(1 << 26))
    (tmp_path / "model.pt2").write_bytes(stream.getvalue())
    with pytest.raises(ModelError, match="would unpack to 67108864 bytes"):
        edgebn.load(tmp_path / "model.pt2")
