"""The native file: equal after a round trip, readable by the safetensors package, and no byte can change unseen."""

import dataclasses
import hashlib
import json
import os
import stat

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load as package_load
from safetensors.numpy import save as package_save

import edgebn
from edgebn import program as p
from edgebn.errors import ModelError
from edgebn.formats import native, program_codec, tensor_file, whole_file
from edgebn.passes.integer import int16_tables


def same(a, b) -> bool:
    """Equality of everything in two programs, arrays by bits and types included."""
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple):
        return isinstance(b, tuple) and len(a) == len(b) and all(map(same, a, b))
    return a == b


def test_same_sees_a_single_bit():
    buffer = p.Buffer("x", (1, 1, 2))
    assert same(buffer, p.Buffer("x", (1, 1, 2)))
    assert not same(buffer, dataclasses.replace(buffer, scale=1.0 + 2**-52))
    assert not same(np.float32([0.0]), np.float32([-0.0]))


def epilogue(channels, dtype, rng):
    gamma, beta, mean = rng.normal(size=(3, channels)).astype(np.float32)
    norm = p.Norm("bn", gamma, beta, mean, rng.uniform(0.1, 2, channels).astype(np.float32), 1e-3)
    if dtype == "float32":
        values = rng.normal(size=(3, channels)).astype(np.float32)
        return p.FloatEpilogue(*values, (-np.inf, np.inf), (0.0, np.inf), (norm,))
    words = rng.integers(-(2**31), 2**31, (4, channels)).astype(np.int32)
    r, s = rng.integers(-(2**62), 2**62, channels), rng.integers(1, 63, channels).astype(np.uint8)
    return p.IntEpilogue(*words, r, s, True, -7, -128, 127, rng.normal(size=channels), (-np.inf, 6.0), (-np.inf, np.inf), (norm,))


def every_step(dtype) -> p.Program:
    """A program of every kind of step of that type, each with its optional parts in use; not one to run."""
    rng = np.random.default_rng(5)
    is_mixed = dtype == "mixed"  # as int8, and two conversions
    dtype = "int8" if is_mixed else dtype
    integer = dtype == "int8"
    window = p.Window("average", (2, 2), (2, 2), padding=(0, 1, 0, 1), count_padding=True, clipped_end=(0, 1))
    kernel = rng.integers(-9, 9, (4, 1, 1, 4)).astype(dtype)
    scale = rng.uniform(0.01, 1, 4) if integer else None
    table = rng.integers(-128, 128, (1, 256)).astype(np.int8)
    index = np.array([[0, 3], [1, 2]], np.int32)
    shares = np.full((2, 2), 512, np.int32) if integer else np.full((2, 2), 0.5, np.float32)
    slope = rng.normal(size=(1, 1, 4)).astype(np.float32)
    add = p.IntAdd("double", (1, 2, 3), (1, 0, 2), 0, 1, -7, -128, 127) if integer else None
    multiply = p.IntMultiply(5, 2**40, 31, True, -7, -128, 127) if integer else None
    binary = p.IntBinary(7, (1, 2, 3), (1, 0, 2), -7, -128, 127) if integer else None
    lookup, elementwise = (
        p.Lookup("lookup", ("x",), "g", table),
        p.Elementwise("prelu", ("x",), "g", "prelu", alpha=0.1, slope=slope),
    )
    made = (
        ((2, 3, 4), p.Convolution("conv", ("x",), "a", kernel, epilogue(4, dtype, rng), pool=window, weight_scale=scale)),
        (
            (5, 4, 4),
            p.TransposedConvolution("up", ("x",), "b", kernel, epilogue(4, dtype, rng), (1, 1), (1, 1), output_padding=(1, 0)),
        ),
        ((4, 4, 4), p.Affine("affine", ("x",), "c", epilogue(4, dtype, rng))),
        ((4, 4, 4), p.Add("add", ("x", "k"), "d", (0.0, np.inf), add)),
        ((4, 4, 4), p.Multiply("mul", ("x", "x"), "e", (0.0, 6.0), multiply)),
        ((2, 3, 4), p.Pool("pool", ("x",), "f", window, epilogue(1, dtype, rng) if integer else None)),
        ((4, 4, 4), lookup if integer else elementwise),
        ((4, 4, 4), p.Softmax("softmax", ("x",), "i", 1.5, 2**30, -3, -248)),
        ((4, 4, 8), p.Concat("concat", ("x", "x"), "j", 2, (table[0], None) if integer else ())),
        ((5, 5, 4), p.Pad("pad", ("x",), "l", ((1, 0), (0, 1), (0, 0)), 3 if integer else -0.5)),
        ((3, 4, 4), p.Crop("crop", ("x",), "m", (1, 0, 0))),
        ((2, 2, 4), p.Resize("resize", ("x",), "n", "bilinear", index, index, shares, shares)),
        ((3, 2, 4), p.Transpose("transpose", ("f",), "o", (1, 0, 2))),
        ((1, 1, 64), p.Reshape("reshape", ("x",), "q")),
        ((4, 4, 4), p.MatMul("product", ("x", "x"), "p", multiply)),
        ((4, 4, 4), p.Binary("binary", ("x", "k"), "z", "squared_difference", (0.0, 6.0), binary)),
    )
    if not integer:
        detections = p.DetectionPostProcess(
            "found", ("rows", "rows"), "found", np.ones((16, 4), np.float32), (9.0, 8.0, 7.0, 6.0), 3, 2, 1, 4, True, 0.1, 0.6
        )
        norm = p.Normalization("norm", ("x",), "t", 2, slope[0, 0], slope[0, 0], 0.01, False)
        weight = np.ones((4, 4), np.float32)
        rnn = p.Recurrence("rnn", ("x",), "rnn", "rnn", weight, slope[0, 0], limit=2.0, backwards=True)
        made = (*made, ((4, 4, 4), norm), ((4, 4, 4), rnn))
        made = (*made, ((1, 16, 4), p.Reshape("rows", ("x",), "rows")), ((1, 1, 13), detections))
    else:
        made = (*made, ((4, 4, 4), p.Rescale("rescale", ("x",), "y8", multiply, multiply)))
        made = (*made, ((4, 4, 4), p.UnitNorm("unit", ("x",), "unit", 7)))
    if is_mixed:
        widening = p.Rescale("widening", ("x",), "w16", dataclasses.replace(multiply, zero_point=0))
        curve = p.Curve("curve", ("w16",), "u16", "sigmoid", int16_tables.SIGMOID, 3, 1)
        made = (*made, ((4, 4, 4), widening), ((4, 4, 4), curve))
        made = (*made, ((4, 4, 4), p.Dequantize("dequantize", ("x",), "r")), ((4, 4, 4), p.Quantize("quantize", ("r",), "s")))
        made += (
            ((4, 4, 1), p.ArgExtreme("arg", ("x",), "u", "min", 2, last=True)),
            ((4, 3, 4), p.ArgExtreme("best", ("x",), "best", "max", 1, count=3)),
            ((4, 4, 1), p.Cast("cast", ("u",), "v")),
            ((4, 4, 1), p.IntegerBinary("less", ("v", "v"), "w", "less")),
            ((4, 4, 4), p.Select("select", ("w", "x", "x"), "select")),
            ((1, 4, 4), p.Crop("row", ("x",), "row", (0, 0, 0))),
            ((1, 4, 1), p.Crop("indices", ("w",), "indices", (0, 0, 0))),
            ((1, 4, 16), p.GatherND("gather", ("x", "indices"), "gather", 0)),
            ((1, 16, 4), p.Reshape("flat", ("r",), "flat")),
            ((1, 4, 16), p.Transpose("scores", ("flat",), "scores", (0, 2, 1))),
            ((1, 8, 3), p.NonMaxSuppression("boxes", ("flat", "scores"), "boxes", 2, True, -np.inf, 0.5)),
        )
    shapes = {"x": (4, 4, 4), "k": (1, 1, 4), **{step.output: shape for shape, step in made}}
    types = (
        (dict.fromkeys(("r", "v", "flat", "scores"), "float32") | dict.fromkeys(("u", "best", "w", "indices", "boxes"), "int32"))
        if is_mixed
        else {}
    )
    scales = dict.fromkeys(shapes, (0.1 + 0.2, -7) if integer else (1.0, 0))
    scales |= dict.fromkeys(("w16", "u16"), (0.25, 0)) if is_mixed else {}
    types |= dict.fromkeys(("w16", "u16"), "int16") if is_mixed else {}
    scales |= {"i": p.SOFTMAX_CODES, "unit": p.UNIT_CODES} if integer else {}
    return p.Program(
        "every",
        "every.keras",
        "keras",
        False,
        {name: p.Buffer(name, shape, types.get(name, dtype), *scales[name]) for name, shape in shapes.items()},
        {"k": np.ones((1, 1, 4), dtype)},
        tuple(step for _, step in made),
        ("x",),
        ("q", "i"),
        {"x": (4, 4, 4), "q": (64,), "i": (4, 4, 4)},
        (p.LayerRecord("conv", "Convolution", (4, 4, 4), 20, 256, "conv", "a step of its own"),),
    )


@pytest.mark.parametrize("dtype", ["float32", "int8", "mixed"])
def test_every_step_comes_back_equal(dtype, tmp_path):
    program = every_step(dtype)
    real = {p.Elementwise, p.Normalization, p.Recurrence, p.DetectionPostProcess}
    absent = {p.Lookup, p.Rescale, p.UnitNorm} if dtype == "float32" else real
    integers = {p.ArgExtreme, p.Cast, p.GatherND, p.IntegerBinary, p.NonMaxSuppression, p.Select}
    absent |= set() if dtype == "mixed" else {p.Quantize, p.Dequantize, p.Curve, *integers}
    assert {type(step) for step in program.steps} == set(p.Step.__subclasses__()) - absent
    native.save(program, tmp_path / "a.edgebn")
    loaded = native.load(tmp_path / "a.edgebn")
    assert same(program, loaded)
    assert native.to_bytes(loaded) == native.to_bytes(program)
    assert native.program_hash(loaded) == native.program_hash(program)


def test_shared_arrays_are_stored_once_and_shared_again():
    program = every_step("float32")
    assert program.steps[0].weight is program.steps[1].weight
    loaded = native.from_bytes(native.to_bytes(program), "memory")
    assert loaded.steps[0].weight is loaded.steps[1].weight
    assert loaded.steps[0].weight.flags.writeable
    assert loaded.steps[0].weight.flags.aligned


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_a_session_gives_the_same_bytes_after_a_round_trip(demo, dtype, tmp_path):
    program, images = getattr(demo, dtype), demo.images[:8]
    edgebn.save(program, tmp_path / "demo.edgebn")
    loaded = edgebn.load(tmp_path / "demo.edgebn")
    assert same(program, loaded)
    np.testing.assert_array_equal(edgebn.Session(loaded).run(images), edgebn.Session(program).run(images))


def test_the_hash_follows_the_network_and_not_its_file():
    program = every_step("int8")
    digest = native.program_hash(program)
    assert len(digest) == 64
    assert native.program_hash(dataclasses.replace(program, name="other", source="elsewhere", records=())) == digest
    weight = program.steps[0].weight.copy()
    weight[0, 0, 0, 0] ^= 1
    changed = (dataclasses.replace(program.steps[0], weight=weight), *program.steps[1:])
    assert native.program_hash(dataclasses.replace(program, steps=changed)) != digest
    unshared = (dataclasses.replace(program.steps[0], weight=program.steps[0].weight.copy()), *program.steps[1:])
    assert native.program_hash(dataclasses.replace(program, steps=unshared)) == digest


# The layout ------------------------------------------------------------------------------------------------------------


def test_the_safetensors_package_reads_ours():
    program = every_step("float32")
    read = package_load(native.to_bytes(program))
    own, metadata = tensor_file.unpack(native.to_bytes(program), "memory")
    assert set(read) == set(own)
    for name, array in own.items():
        assert same(array, read[name])
    assert metadata["version"] == "1"
    np.testing.assert_array_equal(read["program/steps/0/weight"], program.steps[0].weight)


def test_ours_reads_the_safetensors_package():
    rng = np.random.default_rng(0)
    tensors = {f"t{i}": rng.integers(0, 2, (2, i)).astype(kind) for i, kind in enumerate(("f4", "f8", "i1", "i4", "i8", "u1", "?"))}
    tensors["scalar"] = np.array(3.5, np.float32)
    own, metadata = tensor_file.unpack(package_save(tensors, {"key": "value"}), "memory")
    assert metadata == {"key": "value"}
    assert same({name: own[name] for name in tensors}, tensors)


@pytest.mark.parametrize(
    ("header", "body"),
    [
        ('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', b"1234"),
        ('{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', b"12345678"),
        ('{"a":{"dtype":"F32","shape":[-1,-1],"data_offsets":[0,4]}}', b"1234"),
        ('{"a":{"dtype":"F7","shape":[1],"data_offsets":[0,4]}}', b"1234"),
        ('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"12345"),
        ('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,400000000000]}}', b"1234"),
        ('{"a":{"dtype":"F32","shape":[1],"data_offsets":["0",4]}}', b"1234"),
        ('{"a":7}', b""),
        ("[]", b""),
        ('{"__metadata__":{"a":1}}', b""),
        ("[" * 100_000, b""),
        ("{", b""),
    ],
)
def test_broken_layouts_are_refused(header, body):
    with pytest.raises(ModelError, match=r"m\.edgebn: not a whole \.edgebn file"):
        tensor_file.unpack(len(header).to_bytes(8, "little") + header.encode() + body, "m.edgebn")


def test_a_header_longer_than_the_limit_is_refused_before_it_is_read():
    with pytest.raises(ModelError, match="header is longer"):
        tensor_file.unpack((1 << 62).to_bytes(8, "little") + b"{}", "m.edgebn")


# Tampering -------------------------------------------------------------------------------------------------------------

CONTENT = native.to_bytes(every_step("int8"))


@given(position=st.integers(0, len(CONTENT) - 1), flip=st.integers(1, 255))
def test_any_changed_byte_is_refused(position, flip):
    damaged = bytearray(CONTENT)
    damaged[position] ^= flip
    with pytest.raises(ModelError, match=r"m\.edgebn: "):
        native.from_bytes(bytes(damaged), "m.edgebn")


@given(length=st.integers(0, len(CONTENT) - 1))
def test_any_truncation_is_refused(length):
    with pytest.raises(ModelError, match=r"m\.edgebn: "):
        native.from_bytes(CONTENT[:length], "m.edgebn")


def test_changed_weights_and_appended_bytes_are_named_as_tampering():
    with pytest.raises(ModelError, match=r"changed or damaged after it was saved \(its SHA-256 does not match\); copy it again"):
        native.from_bytes(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]), "m.edgebn")
    with pytest.raises(ModelError, match="tensors end before or after"):
        native.from_bytes(CONTENT + b"\0", "m.edgebn")


def resealed(change, program=None):
    """The file of `program` after `change` to its metadata, with a digest that fits."""
    tensors, metadata = tensor_file.unpack(native.to_bytes(program or every_step("float32")), "memory")
    metadata["sha256"] = "0" * 64
    change(metadata)
    data = tensor_file.pack(tensors, metadata)
    return data.replace(b'"sha256":"' + b"0" * 64, b'"sha256":"' + hashlib.sha256(data).hexdigest().encode())


def test_a_newer_format_is_refused_with_the_remedy():
    with pytest.raises(ModelError, match=r"format 2 by a newer edgebn.*pip install --upgrade edgebn"):
        native.from_bytes(resealed(lambda metadata: metadata.update(version="2")), "m.edgebn")


def test_a_safetensors_file_of_someone_else_is_refused():
    with pytest.raises(ModelError, match="without an edgebn program"):
        native.from_bytes(package_save({"a": np.zeros(3, np.float32)}), "m.safetensors")


def edit(path, value):
    def change(metadata):
        tree = json.loads(metadata["program"])
        *parents, last = path
        place = tree
        for key in parents:
            place = place[key]
        place[last] = value
        metadata["program"] = json.dumps(tree)

    return change


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["steps", 0, "class"], "os.system", "'program/steps/0' should be a Step"),
        (["steps", 0, "class"], "Step", "'program/steps/0' should be a Step"),
        (["steps", 0, "class"], "Buffer", "'program/steps/0' should be a Step"),
        (["steps", 0, "strides"], [1], "'program/steps/0/strides' should be a list of 2"),
        (["steps", 0, "strides"], [0, 1], "step 'conv': its kernel, stride or dilation does not fit"),
        (["steps", 0, "groups"], 3, "step 'conv': its weight does not fit"),
        (["steps", 0, "padding"], [0, 0, 0, -1], "step 'conv': its padding does not fit"),
        (["steps", 0, "pool", "kernel"], [9, 9], "step 'conv': its kernel does not fit"),
        (["steps", 0, "pool", "clipped_end"], [0, 9], "step 'conv': its clipped end does not fit"),
        (["steps", 0, "epilogue", "a"], {"tensor": "program/steps/0/weight"}, "step 'conv': its a does not fit"),
        (["steps", 1, "output_padding"], [0, 0], "step 'up': its output's shape does not fit"),
        (["steps", 3, "inputs"], ["x"], "step 'add' is of no kind that runs, or has 1 inputs"),
        (["steps", 3, "post"], ["nan", 1.0], "step 'add': its clip does not fit"),
        (["steps", 6, "function"], "exec", "step 'prelu': its function does not fit"),
        (["steps", 8, "axis"], 3, "step 'concat': its axis does not fit"),
        (["steps", 10, "starts"], [2, 0, 0], "step 'crop': its start does not fit"),
        (["steps", 12, "permutation"], [1, 0, 1], "step 'transpose': its permutation does not fit"),
        (["steps", 0, "groups"], "1", "groups' should be of type int"),
        (["steps", 0, "weight"], {"tensor": "no such"}, "should be the name of a stored tensor"),
        (["steps", 0, "epilogue"], None, "should be one of FloatEpilogue, IntEpilogue"),
        (["steps", 0, "inputs"], ["nowhere"], "there is no buffer 'nowhere'"),
        (["steps", 0, "inputs"], ["q"], "before it is made"),
        (["steps", 0, "extra"], 1, "should be without extra"),
        (["steps", 1, "name"], "conv", "two steps are called 'conv'"),
        (["buffers", "x", "shape"], [4, 4, 1 << 40], "buffer 'x' has the shape"),
        (["buffers", "x", "scale"], "nan", "buffer 'x' has scale nan"),
        (["buffers", "a", "shape"], [2, 3, 5], "step 'conv': its weight does not fit"),
        (["buffers", "q", "shape"], [1, 1, 65], "step 'reshape': its output's shape does not fit"),
        (["buffers", "x", "dtype"], "int8", "'x' is int8 in a program of float32"),
        (["dtype"], "functional", "is float32 in a program of functional"),
        (["dtype"], "int8", "is float32 in a program of int8"),
        (["constants", "k"], {"tensor": "program/steps/0/weight"}, "constant 'k' does not fit"),
        (["shapes"], {}, "has no shape"),
        (["channels_first"], 1, "should be of type bool"),
        (["outputs"], "q", "should be a list"),
    ],
)
def test_descriptions_that_do_not_fit_the_contract_are_refused(path, value, message):
    with pytest.raises(ModelError) as caught:
        native.from_bytes(resealed(edit(path, value)), "m.edgebn")
    assert message in str(caught.value)
    assert str(caught.value).startswith("m.edgebn: ")


@pytest.mark.parametrize("name", ["program/steps/0/weight", "program/steps/0/epilogue/norms/0/gamma", "program/constants/k"])
def test_numbers_that_are_not_finite_are_refused(name):
    tensors, metadata = tensor_file.unpack(native.to_bytes(every_step("float32")), "memory")
    tensors[name].flat[0] = np.nan
    metadata["sha256"] = "0" * 64
    data = tensor_file.pack(tensors, metadata)
    data = data.replace(b"0" * 64, hashlib.sha256(data).hexdigest().encode(), 1)
    with pytest.raises(ModelError, match=r"m\.edgebn: .*(does not fit|NaN)"):
        native.from_bytes(data, "m.edgebn")


@pytest.mark.parametrize("position", [0, 1])
def test_index_tables_stay_inside_their_input(position):
    program = every_step("int8")
    resize = program.steps[11]
    rows = resize.rows.copy()
    rows[position, 1] = 4 if position else -1
    steps = (*program.steps[:11], dataclasses.replace(resize, rows=rows), *program.steps[12:])
    with pytest.raises(ModelError, match="step 'resize': its index table does not fit"):
        native.from_bytes(native.to_bytes(dataclasses.replace(program, steps=steps)), "m.edgebn")


@pytest.mark.parametrize(
    ("name", "factor"),
    [("a", np.ones(3)), ("a", -np.ones(4)), ("a", np.full(4, np.nan)), ("a", np.ones(4, np.float32)), ("nowhere", np.ones(4))],
    ids=["shape", "negative", "nan", "type", "no buffer"],
)
def test_channel_factors_fit_their_buffers(name, factor):
    program = dataclasses.replace(every_step("int8"), channel_factors={name: factor})
    with pytest.raises(ModelError, match=f"the channel factors of '{name}'"):
        native.from_bytes(native.to_bytes(program), "m.edgebn")


def test_channel_factors_change_no_hash():
    program = every_step("int8")
    scaled = dataclasses.replace(program, channel_factors={"a": np.ones(program.buffers["a"].shape[2])})
    assert native.program_hash(scaled) == native.program_hash(program)
    assert native.from_bytes(native.to_bytes(scaled), "m.edgebn").channel_factors["a"].tolist() == [1.0] * len(
        scaled.channel_factors["a"]
    )


def test_only_the_contract_can_be_written():
    with pytest.raises(TypeError, match="does not belong into a program"):
        program_codec.encode({"a": object()}, lambda array, path: None, "program")
    assert "Program" in program_codec.CLASSES
    assert "Step" in program_codec.CLASSES


# Saving ----------------------------------------------------------------------------------------------------------------


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.edgebn"
    native.save(every_step("float32"), path)
    before = path.read_bytes()

    def no_space(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(whole_file.os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        native.save(every_step("int8"), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.edgebn"]


def test_saving_over_an_old_file_follows_the_umask(tmp_path):
    path = tmp_path / "a.edgebn"
    native.save(every_step("float32"), path)
    native.save(every_step("int8"), path)
    assert native.load(path).dtype == "int8"
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_saving_into_a_missing_folder_says_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        native.save(every_step("float32"), tmp_path / "missing" / "a.edgebn")


@pytest.mark.parametrize("content", [b"", b"short", b"PK\x03\x04" + b"0" * 100])
def test_files_that_are_no_program_are_refused(tmp_path, content):
    path = tmp_path / "a.edgebn"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not a whole"):
        native.load(path)


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        native.load(tmp_path / "none.edgebn")
    with pytest.raises(ModelError, match="cannot be read"):
        native.load(tmp_path)


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        whole_file.write_whole(tmp_path / "missing" / "m.edgebn", b"")
    assert caught.value.filename == str(tmp_path / "missing" / "m.edgebn")
