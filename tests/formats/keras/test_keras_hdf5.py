"""HDF5's variable-length strings, read from the file's own bytes: forged lengths allocate nothing, broken heaps end."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from edgebn.errors import ModelError

h5py = pytest.importorskip("h5py", reason="h5py is not installed")

from edgebn.formats.keras.hdf5 import open_bytes, open_path  # noqa: E402  # after the check for h5py
from edgebn.formats.keras.hdf5_strings import stored_strings  # noqa: E402

ZOO = Path(__file__).parents[2] / "recorded" / "keras_zoo"


def write(path, libver, **attributes):
    with h5py.File(path, "w", libver=libver) as file:
        group = file.create_group("layer")
        for name, value in attributes.items():
            group.attrs[name] = value


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("count", [1, 7])
def test_strings_are_those_written(tmp_path, libver, count):
    texts = {f"name{index}": [f"{index}" * (3 + index + place) for place in range(4)] for index in range(count)}
    path = tmp_path / "a.h5"
    write(path, libver, **{name: np.array(listed, h5py.string_dtype()) for name, listed in texts.items()})
    content = path.read_bytes()
    with h5py.File(path, "r") as file:
        header = h5py.h5o.get_info(file["layer"].id).addr
    for name, listed in texts.items():
        got = stored_strings(lambda position, size: content[position : position + size], header, name, 4)
        assert got == [text.encode() for text in listed]
    assert stored_strings(lambda position, size: content[position : position + size], header, "none", 4) is None


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_attributes_come_back_as_text(tmp_path, libver):
    write(tmp_path / "a.h5", libver, one="a name", many=["x", "yy"], fixed=np.array([b"ab", b"c"]))
    for opened in (open_path(tmp_path / "a.h5"), open_bytes((tmp_path / "a.h5").read_bytes(), "a.h5")):
        with opened as file:
            assert file.attribute("one", "layer") == ["a name"]
            assert file.attribute("many", "layer") == ["x", "yy"]
            assert file.attribute("fixed", "layer") == ["ab", "c"]
            assert file.attribute("none", "layer") is None
            assert file.attribute("one", "no such group") is None


@pytest.mark.parametrize("name", ["residual", "nested_functional"])
def test_a_forged_length_is_refused_before_it_is_allocated(name):
    content = (ZOO / f"{name}.h5").read_bytes()
    with open_bytes(content, "m.h5") as file:
        (config,) = file.attribute("model_config")
    assert json.loads(config)["class_name"] == "Functional"
    # The attribute's data, the descriptor, is the first place after its name that holds the length.
    place = content.index(struct.pack("<I", len(config.encode())), content.index(b"model_config\0"))
    forged = content[:place] + struct.pack("<I", 0xF0000000) + content[place + 4 :]
    with open_bytes(forged, "m.h5") as file, pytest.raises(ModelError, match="text of attribute 'model_config' is not in the file"):
        file.attribute("model_config")


def test_a_heap_whose_objects_have_no_size_ends():
    """HDF5 itself walks such a heap for ever."""
    content = bytearray((ZOO / "dense.h5").read_bytes())
    heap = content.index(b"GCOL")
    content[heap + 24 : heap + 32] = bytes(8)
    with open_bytes(bytes(content), "m.h5") as file, pytest.raises(ModelError, match="is not in the file"):
        [file.attribute(name) for name in ("model_config", "keras_version", "backend")]
