"""Networks that do something with their batch axis, against onnxruntime: a session gives for N samples what N single runs give."""

import contextlib
import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnxruntime import quantization  # noqa: E402

from edgebn import reference  # noqa: E402
from edgebn.errors import BatchWarning, EdgebnError, UnsupportedLayerError  # noqa: E402
from edgebn.formats.onnx import from_proto, read  # noqa: E402
from edgebn.passes import lower  # noqa: E402
from edgebn.passes.graph.layout import channels_first_values  # noqa: E402
from edgebn.session import Session  # noqa: E402

SAMPLES = 6
rng = np.random.default_rng(11)


def array(*shape):
    return rng.standard_normal(shape).astype(np.float32)


class Net:
    """Nodes one after the other; arrays become constants."""

    def __init__(self, opset=13):
        self.opset = opset
        self.nodes, self.constants = [], {}

    def constant(self, value):
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(value)
        return name

    def add(self, operator, *inputs, outputs=1, **attributes):
        names = [item if isinstance(item, str) else self.constant(item) for item in inputs]
        made = [f"v{len(self.nodes)}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(operator, names, made, f"{operator.lower()}{len(self.nodes)}", **attributes))
        return made if outputs > 1 else made[0]

    def model(self, inputs, outputs):
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)


class InexpressibleError(Exception):
    """A network that is read but needs steps on more than three axes."""


def check(model, *, batch=1, engine=reference.run):
    """Hold a network against onnxruntime, run on as many samples at once as its file says (`batch` where it is open).

    The first axis of a result may hold more than the batch: the session's has it in two axes.
    """
    graph = from_proto(model, "net.onnx")
    last = channels_first_values(graph)
    try:
        program = lower(graph)
    except UnsupportedLayerError as error:
        raise InexpressibleError from error
    first = model.graph.input[0]
    size = first.type.tensor_type.shape.dim[0].dim_value
    if size > 0:
        has_batch = len(graph.tensors[first.name].shape) < len(first.type.tensor_type.shape.dim)
        batch = size if has_batch else 1
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    draw = np.random.default_rng(5)
    given, runs = {}, [{} for _ in range(SAMPLES // batch)]
    for entry in session.get_inputs():
        shape = graph.tensors[entry.name].shape
        x = draw.standard_normal((SAMPLES, *shape)).astype(np.float32)
        given[entry.name] = np.moveaxis(x, 1, -1) if entry.name in last else x
        for place, run in enumerate(runs):
            part = x[place * batch : (place + 1) * batch]
            run[entry.name] = part if len(entry.shape) == part.ndim else part[0]
    found = engine(program, given)
    found = found if isinstance(found, dict) else {program.outputs[0]: found}
    expected = [session.run(None, run) for run in runs]
    for place, entry in enumerate(session.get_outputs()):
        theirs = np.stack([result[place] for result in expected])
        ours = np.moveaxis(found[entry.name], -1, 1) if entry.name in last else found[entry.name]
        assert ours.size == theirs.size
        assert np.abs(ours.reshape(theirs.shape) - theirs).max() <= 1e-5 * max(np.ptp(theirs), 1e-3)
    return program


def refusal(model):
    with pytest.raises(EdgebnError) as caught:
        check(model)
    message = str(caught.value)
    assert message.startswith("net.onnx: ")
    assert "\n" not in message
    return message


def shuffled(net, x, channels, height, width, batch=1):
    """ShuffleNetV2's shuffle as its first authors write it, through the batch axis; returns both halves."""
    x = net.add("Reshape", x, [batch * channels // 2, 2, height * width])
    x = net.add("Transpose", x, perm=[1, 0, 2])
    x = net.add("Reshape", x, [2, -1, channels // 2, height, width])
    return net.add("Gather", x, np.int64(0), axis=0), net.add("Gather", x, np.int64(1), axis=0)


def shuffle_net(batch, opset=11):
    """Two blocks of FastestDet's backbone."""
    net = Net(opset)
    x = net.add("Conv", "x", array(8, 3, 1, 1), array(8))
    for _ in range(2):
        left, right = shuffled(net, x, 8, 4, 5, max(batch, 1) if isinstance(batch, int) else 1)
        right = net.add("Relu", net.add("Conv", right, array(4, 4, 3, 3), array(4), pads=[1, 1, 1, 1]))
        x = net.add("Concat", left, right, axis=1)
    return net.model({"x": [batch, 3, 4, 5]}, [x])


@pytest.mark.parametrize("engine", [reference.run, lambda program, x: Session(program).run(x)], ids=["reference", "session"])
def test_a_channel_shuffle_through_the_batch_axis(engine):
    program = check(shuffle_net(1), engine=engine)
    assert program.shapes[program.inputs[0]] == (4, 5, 3)
    assert program.shapes[program.outputs[0]] == (4, 5, 8)
    assert "Transpose" not in {step.kind for step in program.steps}


@pytest.mark.parametrize("form", list(quantization.QuantFormat), ids=lambda form: form.name)
def test_a_quantised_channel_shuffle(form, tmp_path):
    """As onnxruntime's quantizer writes it: codes go through the batch axis as they are."""
    x = np.random.default_rng(2).standard_normal((SAMPLES, 3, 4, 5)).astype(np.float32)
    onnx.save(shuffle_net(1, opset=13), tmp_path / "net.onnx")

    class Samples(quantization.CalibrationDataReader):
        left = iter([{"x": sample[None]} for sample in x])

        def get_next(self):
            return next(self.left, None)

    logging.disable(logging.WARNING)  # it advises a preparation that is not wanted here
    try:
        quantization.quantize_static(tmp_path / "net.onnx", tmp_path / "int8.onnx", Samples(), quant_format=form, per_channel=True)
    finally:
        logging.disable(logging.NOTSET)
    session = ort.InferenceSession(tmp_path / "int8.onnx", providers=["CPUExecutionProvider"])
    expected = np.concatenate([session.run(None, {"x": sample[None]})[0] for sample in x])
    program = lower(read(tmp_path / "int8.onnx"))
    found = np.moveaxis(reference.run(program, np.moveaxis(x, 1, -1)), -1, 1)
    assert np.abs(found - expected).max() <= np.ptp(expected) / 100  # a step or two
    assert (np.abs(found - expected) > np.ptp(expected) / 1000).mean() <= 0.02


def test_a_channel_shuffle_of_a_batch_of_three():
    check(shuffle_net(3))


@pytest.mark.parametrize("batch", ["n", -1, 0])
def test_a_channel_shuffle_of_an_open_batch_whose_shapes_say_one(batch):
    net_of_one, of_any = shuffle_net(1), shuffle_net(batch)
    assert lower(from_proto(of_any, "net.onnx")).shapes == lower(from_proto(net_of_one, "net.onnx")).shapes
    if batch != 0:  # onnxruntime takes 0 at its word
        check(of_any)


def test_a_channel_shuffle_with_shape_arithmetic():
    """The batch is open and folded into the channels by what the file computes from Shape: it may be of any size."""
    net = Net()
    x = net.add("Conv", "x", array(8, 3, 1, 1))
    count = net.add("Mul", net.add("Gather", net.add("Shape", x), np.array([0])), np.array([4]))
    x = net.add("Reshape", x, net.add("Concat", count, np.array([2, 20]), axis=0))
    x = net.add("Transpose", x, perm=[1, 0, 2])
    x = net.add("Reshape", x, [2, -1, 4, 4, 5])
    left, right = net.add("Split", x, axis=0, outputs=2)
    y = net.add("Concat", net.add("Squeeze", right, [0]), net.add("Squeeze", left, [0]), axis=1)
    check(net.model({"x": ["n", 3, 4, 5]}, [y]), batch=SAMPLES)


# One thing that a network whose batch is 1 does with that axis: from (1, 4, 5, 6) to a value that leaves the network.
ONE = {
    "flattened": lambda net, x: net.add("Flatten", x, axis=0),
    "flattened whole": lambda net, x: net.add("Reshape", x, [-1]),
    "folded": lambda net, x: net.add("Reshape", x, [2, 2, 5, 6]),
    "folded and back": lambda net, x: net.add("Relu", net.add("Reshape", net.add("Reshape", x, [10, 12]), [1, 4, 5, 6])),
    "moved behind": lambda net, x: net.add("Transpose", x, perm=[1, 2, 3, 0]),
    "moved inside": lambda net, x: net.add("Sigmoid", net.add("Transpose", x, perm=[2, 0, 3, 1])),
    "moved and back": lambda net, x: net.add("Transpose", net.add("Transpose", x, perm=[3, 0, 1, 2]), perm=[1, 2, 3, 0]),
    "left out": lambda net, x: net.add("Squeeze", x, [0]),
    "left out unnamed": lambda net, x: net.add("Squeeze", x),
    "put in front": lambda net, x: net.add("Unsqueeze", x, [0]),
    "left out and put back": lambda net, x: net.add("Unsqueeze", net.add("Relu", net.add("Squeeze", x, [0])), [0]),
    "indexed": lambda net, x: net.add("Gather", x, np.int64(0), axis=0),
    "indexed from behind": lambda net, x: net.add("Gather", x, np.int64(-1), axis=0),
    "sliced whole": lambda net, x: net.add("Slice", x, [0], [1], [0]),
    "sliced after leaving out": lambda net, x: net.add("Slice", net.add("Squeeze", x, [0]), [1], [3], [0]),
    "split after leaving out": lambda net, x: net.add("Split", net.add("Squeeze", x, [0]), [1, 3], axis=0, outputs=2)[1],
    "stacked": lambda net, x: net.add("Concat", x, net.add("Relu", x), axis=0),
    "stacked with a constant": lambda net, x: net.add("Concat", x, array(2, 4, 5, 6), axis=0),
    "stacked of others": lambda net, x: net.add("Concat", net.add("Squeeze", x, [0]), array(1, 5, 6), axis=0),
    "padded": lambda net, x: net.add("Pad", x, np.array([0, 0, 0, 0, 1, 0, 1, 0])),
    "cropped by padding": lambda net, x: net.add("Pad", net.add("Squeeze", x, [0]), np.array([-1, 0, 0, 0, -2, 1])),
    "softmax along it": lambda net, x: net.add("Softmax", x, axis=0),
    "softmax after leaving out": lambda net, x: net.add("Softmax", net.add("Squeeze", x, [0]), axis=0),
    "mean along it": lambda net, x: net.add("ReduceMean", x, axes=[0]),
    "mean along it alone": lambda net, x: net.add("ReduceMean", x, axes=[0], keepdims=0),
    "mean of all": lambda net, x: net.add("ReduceMean", x, axes=[0, 1, 2, 3]),
    "mean of it and channels": lambda net, x: net.add("ReduceMean", x, axes=[0, 1], keepdims=0),
    "maximum after leaving out": lambda net, x: net.add("ReduceMax", net.add("Squeeze", x, [0]), axes=[0], keepdims=0),
    "product after leaving out": lambda net, x: net.add("MatMul", net.add("Reshape", x, [20, 6]), array(6, 3)),
    "product of everything": lambda net, x: net.add("MatMul", net.add("Reshape", x, [120]), array(120, 3)),
    "product with a vector": lambda net, x: net.add("MatMul", net.add("Reshape", x, [20, 6]), array(6)),
    "Gemm transposed": lambda net, x: net.add("Gemm", net.add("Reshape", x, [20, 6]), array(20, 3), array(6, 3), transA=1),
    "sum with more axes": lambda net, x: net.add("Add", net.add("Reshape", x, [1, 120]), array(2, 1, 120)),
    "sum along it": lambda net, x: net.add("Add", net.add("Reshape", x, [1, 120]), array(3, 120)),
    "sum with fewer axes": lambda net, x: net.add("Add", net.add("Reshape", x, [20, 6]), array(6)),
    "sum of ranks": lambda net, x: net.add("Add", x, net.add("Squeeze", x, [0])),
    "sum of shapes": lambda net, x: net.add("Mul", x, net.add("ReduceMean", net.add("Squeeze", x, [0]), axes=[1], keepdims=1)),
    "batch norm of columns": lambda net, x: net.add(
        "BatchNormalization", net.add("Reshape", x, [20, 6]), *(array(6) ** 2 + 0.1 for _ in range(4))
    ),
    "slope": lambda net, x: net.add("PRelu", net.add("Squeeze", x, [0]), array(4, 1, 1)),
    "convolved one by one": lambda net, x: net.add("Conv", net.add("Reshape", x, [4, 1, 5, 6]), array(3, 1, 3, 3), array(3)),
    "convolved in groups": lambda net, x: net.add("Conv", net.add("Reshape", x, [2, 2, 5, 6]), array(4, 1, 3, 3), group=2),
    "pooled one by one": lambda net, x: net.add("MaxPool", net.add("Reshape", x, [2, 2, 5, 6]), kernel_shape=[2, 2]),
    "averaged one by one": lambda net, x: net.add("GlobalAveragePool", net.add("Reshape", x, [2, 2, 5, 6])),
    "resized one by one": lambda net, x: net.add("Resize", net.add("Reshape", x, [2, 2, 5, 6]), "", np.float32([1, 1, 2, 1.5])),
    "sequences one by one": lambda net, x: net.add("Conv", net.add("Reshape", x, [20, 1, 6]), array(2, 1, 3)),
}


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("convolved", [False, True])
def test_a_batch_of_one(name, convolved):
    net = Net()
    x = net.add("Conv", "x", array(4, 4, 1, 1)) if convolved else "x"
    check(net.model({"x": [1, 4, 5, 6]}, [ONE[name](net, x)]))


@pytest.mark.parametrize("name", ["convolved one by one", "averaged one by one", "pooled one by one", "folded and back"])
def test_channels_folded_into_an_open_batch(name):
    """A filter for every channel alike, as blurs are written: x.view(-1, 1, H, W)."""
    net = Net()
    x = net.add("Conv", "x", array(4, 4, 1, 1))
    reshaped = net.nodes
    y = ONE[name](net, x)
    for node in reshaped:
        if node.op_type == "Reshape":
            target = net.constants[node.input[1]]
            target[0] = -1
    check(net.model({"x": ["n", 4, 5, 6]}, [net.add("Reshape", y, [-1, 4, 5, 6]) if name == "folded and back" else y]))


GATHERED = [0, 3, -1, [2], [1, 2, 3], [0, 1, 3], [3, 2, 1, 0], [1, 1], [-1, 0], [[0, 1], [2, 3]], [[[3]]]]


@pytest.mark.parametrize("axis", [1, 2, -1])
@pytest.mark.parametrize("indices", GATHERED, ids=str)
@pytest.mark.parametrize("batch", [1, "n"])
def test_gather_by_constants(indices, axis, batch):
    net = Net()
    y = net.add("Gather", net.add("Relu", "x"), np.array(indices), axis=axis)
    check(net.model({"x": [batch, 4, 5, 6]}, [y]))


def test_gather_in_any_order():
    net = Net()
    y = net.add("Gather", "x", rng.permutation(200), axis=1)
    check(net.model({"x": [1, 200]}, [y]))


def test_gather_outside_its_axis_is_refused():
    outside = Net()
    y = outside.add("Gather", "x", np.array([0, 7]), axis=1)
    with pytest.raises(EdgebnError, match=r"its indices \[0, 7\] do not fit an axis of 4"):
        from_proto(outside.model({"x": [1, 4]}, [y]), "net.onnx")


# What mixes samples of a batch that is open: refused, with the remedy.
MIXES = {
    "mean": (lambda net, x: net.add("ReduceMean", x, axes=[0]), "works along the batch axis"),
    "softmax": (lambda net, x: net.add("Softmax", x, axis=0), "works along the batch axis"),
    "all": (lambda net, x: net.add("ReduceMax", x), "works along the batch axis"),
    "left out": (lambda net, x: net.add("Squeeze", x, [0]), "leaves out the batch axis"),
    "indexed": (lambda net, x: net.add("Gather", x, np.int64(0), axis=0), "picks from the batch axis"),
    "padded": (lambda net, x: net.add("Pad", x, np.array([1, 0, 0, 0, 0, 0])), "pads the batch axis"),
    "stacked": (lambda net, x: net.add("Concat", x, x, axis=0), "works along the batch axis"),
    "mixed": (lambda net, x: net.add("Softmax", net.add("Reshape", x, [-1, 5]), axis=0), "works along the batch axis"),
    "meets another": (lambda net, x: net.add("Add", x, net.add("Transpose", x, perm=[1, 0, 2])), "one's meets another"),
    "behind": (lambda net, x: net.add("Transpose", x, perm=[1, 0, 2]), "has the batch in axis 1"),
    "constant": (lambda net, x: net.add("Add", x, array(2, 4, 5)), "differs along the batch axis"),
    "elements": (lambda net, x: net.add("GatherElements", x, np.zeros((1, 4, 5), np.int64), axis=2), "are not of every sample"),
    "product": (
        lambda net, x: net.add("MatMul", net.add("Transpose", x, perm=[1, 2, 0]), array(1, 3)),
        "multiplies along the batch",
    ),
}


@pytest.mark.parametrize("name", MIXES)
def test_what_mixes_the_samples_of_an_open_batch_is_read_with_a_batch_of_one(name):
    """onnxruntime runs one sample at a time; what it would make of several together is another number, of which a warning tells."""
    build, words = MIXES[name]
    net = Net()
    with pytest.warns(BatchWarning, match=words) as told:
        check(net.model({"x": ["n", 4, 5]}, [build(net, net.add("Relu", "x"))]))
    (message,) = (str(warning.message) for warning in told)
    assert message.startswith("net.onnx: ")
    assert message.endswith(": it is read with a batch of 1, and each sample runs alone")
    assert "\n" not in message
    assert "batch_axis" not in message


@pytest.mark.parametrize("name", [name for name in MIXES if name not in ("constant", "elements", "left out", "product")])
def test_a_file_of_several_samples_that_mixes_them_has_no_batch(name):
    """All axes are the sample's: a session takes any number of such stacks."""
    net = Net()
    y = MIXES[name][0](net, net.add("Relu", "x"))
    program = check(net.model({"x": [4, 4, 5] if name == "meets another" else [2, 4, 5]}, [y]))
    assert len(program.shapes["x"]) == 3


def test_inputs_without_a_batch():
    net = Net()
    y = net.add("Add", net.add("Conv", "x", array(4, 3, 1, 1)), net.add("Reshape", "z", [4, 1, 1]))
    program = check(net.model({"x": [1, 3, 5, 6], "z": [4]}, [y]))
    assert program.shapes == {"x": (5, 6, 3), "z": (4,), y: (5, 6, 4)}


# Random networks ------------------------------------------------------------------------------------------------------


def grow(net, draw, x, shape):
    """One random step on a value; returns the new value and its shape."""
    rank, elements = len(shape), int(np.prod(shape))
    choice = draw.integers(0, 9)
    axis = int(draw.integers(0, rank))
    if choice <= 1:
        sizes, rest = [], elements
        for _ in range(int(draw.integers(0, 4))):
            divisors = [size for size in range(1, rest + 1) if rest % size == 0]
            sizes.append(int(draw.choice(divisors)))
            rest //= sizes[-1]
        sizes.append(rest)
        target = [int(size) for size in draw.permutation(sizes)]
        written = list(target)
        if draw.random() < 0.5:
            written[int(draw.integers(len(written)))] = -1
        return net.add("Reshape", x, written), tuple(target)
    if choice <= 3:
        order = [int(place) for place in draw.permutation(rank)]
        return net.add("Transpose", x, perm=order), tuple(shape[place] for place in order)
    if choice == 4:
        index = int(draw.integers(shape[axis]))
        return net.add("Gather", x, np.int64(index), axis=axis), (*shape[:axis], *shape[axis + 1 :])
    if choice == 5:
        begin = int(draw.integers(shape[axis]))
        return net.add("Slice", x, [begin], [shape[axis]], [axis]), (*shape[:axis], shape[axis] - begin, *shape[axis + 1 :])
    if choice == 6:
        return net.add("Concat", x, net.add("Relu", x), axis=axis), (*shape[:axis], 2 * shape[axis], *shape[axis + 1 :])
    if choice == 7:
        other = tuple(size if draw.random() < 0.6 else 1 for size in shape)[int(draw.integers(rank)) :]
        return net.add(draw.choice(["Add", "Mul"]), x, array(*other)), shape
    if choice == 8:
        keep = int(draw.integers(2))
        kept = (*shape[:axis], *([1] * keep), *shape[axis + 1 :])
        return net.add("ReduceMean", x, axes=[axis], keepdims=keep), kept
    return net.add("Unsqueeze", x, [axis]), (*shape[:axis], 1, *shape[axis:])


@given(seed=st.integers(0, 2**32 - 1), batch=st.integers(1, 3))
def test_random_networks(seed, batch):
    """Whatever they do with their axes, values of up to four of them: equal, or refused for what the steps cannot express."""
    draw = np.random.default_rng(seed)
    net, shape = Net(), (batch, *(int(size) for size in draw.integers(1, 5, 3)))
    inputs = {"x": shape}
    x = "x"
    for _ in range(int(draw.integers(2, 6))):
        x, shape = grow(net, draw, x, shape)
        if not shape or len(shape) > 4:
            x, shape = net.add("Reshape", x, [1, -1]), (1, int(np.prod(shape)))
    with contextlib.suppress(InexpressibleError):
        check(net.model(inputs, [net.add("Relu", x)]))
