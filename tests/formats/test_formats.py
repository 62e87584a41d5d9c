"""`formats.read`: the right reader by content or suffix, and one clear sentence for files that none can read."""

import shutil
import zipfile

import numpy as np
import pytest

from edgebn import formats
from edgebn.errors import EdgebnError, ModelError
from edgebn.formats import tensor_file


@pytest.fixture
def keras_file(recorded):
    pytest.importorskip("h5py", reason="h5py is not installed")
    return recorded / "keras_zoo" / "dense.keras"


@pytest.mark.parametrize("name", ["renamed.bin", "renamed.h5", "renamed.keras", "renamed"])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_content_decides_over_the_suffix(keras_file, tmp_path, suffix, name):
    shutil.copy(keras_file.with_suffix(suffix), tmp_path / name)
    graph = formats.read(tmp_path / name)
    assert graph.format == "keras"
    assert graph.source == str(tmp_path / name)


def test_text_paths_are_paths(keras_file):
    assert formats.read(str(keras_file)).format == "keras"


@pytest.mark.parametrize("name", ["ad01_fp32.tflite", "resnet8.h5"])
def test_each_format_finds_its_reader(shared_models, name):
    assert formats.read(shared_models / name).format == {"tflite": "tflite", "h5": "keras"}[name.rsplit(".", 1)[1]]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.h5", b"", "the file is empty; save or download the model again"),
        ("model.xyz", b"what is this, a model?", "of no format that edgebn knows; edgebn reads .h5, .keras, .onnx, .tflite, .pt2"),
        ("model.pth", b"\x80\x02}q\x00.", "of no format that edgebn knows; export it first: torch.export.save"),
        ("model.pb", b"\x08\x01\x12\x00", "convert the SavedModel to TensorFlow Lite or ONNX first"),
        ("model.json", b'{"class_name": "Functional"}', "holds the network without its weights"),
        ("model.edgebn", b"\x10\0\0\0\0\0\0\0{}", "holds a program, which edgebn.load reads"),
    ],
)
def test_files_of_no_known_format_are_refused_with_a_hint(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError) as caught:
        formats.read(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert message in str(caught.value)


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"none\.onnx: no such file"):
        formats.read(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="a folder, not a model file"):
        formats.read(tmp_path)
    with pytest.raises(ModelError, match="cannot be opened"):
        formats.read("null\0byte.h5")


def test_a_zip_archive_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("cat.jpg", b"meow")
    with pytest.raises(ModelError, match="of no format that edgebn knows"):
        formats.read(tmp_path / "photos.zip")


def test_options_of_another_format_are_refused(keras_file, tmp_path):
    (tmp_path / "a.tflite").write_bytes(b"\x1c\0\0\0TFL3" + b"\0" * 40)
    with pytest.raises(ModelError, match="custom_layers= means nothing for a TensorFlow Lite file"):
        formats.read(tmp_path / "a.tflite", custom_layers={"A": "Dense"})
    with pytest.raises(ModelError, match="example= means nothing for a Keras file"):
        formats.read(keras_file, example=np.zeros(3))


@pytest.mark.parametrize("suffix", [".h5", ".keras", ".onnx", ".tflite", ".pt2"])
def test_noise_under_every_suffix_is_refused(tmp_path, suffix):
    path = tmp_path / f"noise{suffix}"
    path.write_bytes(np.random.default_rng(0).bytes(4096))
    with pytest.raises(EdgebnError, match=f"noise{suffix}: "):
        formats.read(path)


def test_a_safetensors_file_is_no_graph(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(tensor_file.pack({"a": np.zeros(2, np.float32)}, {}))
    with pytest.raises(ModelError, match="of no format that edgebn knows"):
        formats.read(tmp_path / "a.safetensors")
