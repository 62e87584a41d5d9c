"""The PyTorch reader against live PyTorch: every module of the zoo, in memory and as a .pt2 file, decomposed too."""

import re
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="live comparison: runs in the frameworks' environment of `make test-all`")
sys.path.insert(0, str(Path(__file__).parents[1] / "recorders"))

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402
from torch_zoo import ZOO, Does, randomise  # noqa: E402

import edgebn  # noqa: E402
from edgebn import reference  # noqa: E402
from edgebn.formats import torch as reader  # noqa: E402

TOLERANCE = 1e-5  # of the output's range

pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch warns of itself


def channels_last(array):
    return np.moveaxis(array, 1, -1) if array.ndim > 2 else array


def made(name):
    torch.manual_seed(zlib.crc32(name.encode()))
    module, shape = ZOO[name]()
    randomise(module, zlib.crc32(name.encode()))
    return module, torch.randn(shape)


def assert_equal(program, module, x):
    """Every output within the tolerance of what PyTorch says in evaluation mode."""
    with torch.no_grad():
        expected = module.eval()(x)
    expected = list(expected.values()) if isinstance(expected, dict) else [expected]
    result = reference.run(program, channels_last(x.numpy()))
    results = [result[name] for name in program.outputs] if isinstance(result, dict) else [result]
    assert len(results) == len(expected)
    for ours, theirs in zip(results, expected, strict=True):
        theirs = channels_last(theirs.numpy())
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() <= TOLERANCE * np.ptp(theirs)


@pytest.mark.parametrize("name", ZOO)
def test_module_in_memory(name):
    module, x = made(name)
    module.train()
    program = edgebn.from_torch(module, x)
    assert all(part.training for part in module.modules()), "the module's mode changed"
    assert_equal(program, module, x)


@pytest.mark.parametrize("name", ZOO)
def test_exported_file(name, tmp_path):
    module, x = made(name)
    torch.export.save(torch.export.export(module.eval(), (x,)), tmp_path / "model.pt2")
    assert_equal(edgebn.load(tmp_path / "model.pt2"), module, x)


@pytest.mark.parametrize("name", ["batchnorm_everywhere", "squeeze_excite", "in_place", "resnet8", "mobilenet", "conv1d"])
def test_decomposed_program(name, tmp_path):
    """`run_decompositions` gives core ATen: convolution, addmm, _native_batch_norm_legit_no_training and the like."""
    module, x = made(name)
    program = torch.export.export(module.eval(), (x,)).run_decompositions()
    torch.export.save(program, tmp_path / "model.pt2")
    assert_equal(edgebn.load(tmp_path / "model.pt2"), module, x)


@pytest.mark.parametrize("name", ["resnet8", "reshapes", "channel_shuffle"])
def test_open_batch(name, tmp_path):
    module, x = made(name)
    shapes = ({0: torch.export.Dim.DYNAMIC},)
    torch.export.save(torch.export.export(module.eval(), (x,), dynamic_shapes=shapes), tmp_path / "model.pt2")
    assert_equal(edgebn.load(tmp_path / "model.pt2"), module, torch.randn(5, *x.shape[1:]))


@pytest.mark.parametrize("name", ["resnet8", "mobilenet"])
def test_session_agrees(name):
    module, x = made(name)
    with torch.no_grad():
        expected = module.eval()(x).numpy()
    result = edgebn.Session(edgebn.from_torch(module, x)).run(channels_last(x.numpy()))
    assert np.abs(result - expected).max() <= TOLERANCE * np.ptp(expected)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "linear"])
@pytest.mark.parametrize("aligned", [None, True])
@pytest.mark.parametrize("recompute", [None, True])
def test_upsampling_by_factors_that_divide_badly(mode, aligned, recompute):
    if aligned and mode.startswith("nearest"):
        pytest.skip("only linear upsampling aligns corners")
    rng = np.random.default_rng(0)
    axes = 1 if mode == "linear" else 2
    settings = {"mode": mode, "align_corners": aligned, "recompute_scale_factor": recompute}
    for _ in range(12):
        sizes = rng.integers(3, rng.choice([33, 120]), axes)
        choices = [rng.integers(4, 40) / 10, rng.integers(4, 12) / rng.integers(1, 12), 1.03, 2.02]
        factors = tuple(float(rng.choice(choices)) for _ in sizes)
        module = Does(lambda m, x, factors=factors: functional.interpolate(x, scale_factor=factors, **settings))
        x = torch.randn(1, 2, *sizes)
        assert_equal(edgebn.from_torch(module, x), module, x)


def test_batch_of_one():
    module, x = made("resnet8")
    assert_equal(edgebn.from_torch(module, x[:1]), module, x)


ONE = {
    "flattened": lambda m, x: (m.conv(x) + 1).flatten(),
    "squeezed": lambda m, x: functional.adaptive_avg_pool2d(m.conv(x), 1).squeeze(),
    "taken": lambda m, x: m.conv(x)[0],
    "moved": lambda m, x: m.conv(x).permute(1, 0, 2, 3),
    "split": lambda m, x: torch.split(m.conv(x).squeeze(0), [1, 3])[1],
    "joined": lambda m, x: torch.cat([m.conv(x), m.conv(x).relu()]),
    "padded": lambda m, x: functional.pad(m.conv(x)[0], (0, 1, 0, 0, 1, 0)),
    "reduced": lambda m, x: m.conv(x)[0].mean(0),
    "softmaxed": lambda m, x: m.conv(x)[0].softmax(0),
    "broadcast": lambda m, x: m.conv(x) * m.conv(x)[0].mean((1, 2), keepdim=True) + torch.ones(1, 4, 1, 1),
    "convolved": lambda m, x: m.blur(m.conv(x).view(4, 1, 4, 4)),
    "pooled": lambda m, x: functional.max_pool2d(m.conv(x).view(2, 2, 4, 4), 2),
    "upsampled": lambda m, x: functional.interpolate(m.conv(x).view(2, 2, 4, 4), scale_factor=2, mode="bilinear"),
}


@pytest.mark.parametrize("name", ONE)
def test_a_network_of_one_sample_may_do_anything_with_its_batch(name):
    module = Does(ONE[name], conv=nn.Conv2d(3, 4, 1), blur=nn.Conv2d(1, 2, 3)).eval()
    x = torch.randn(3, 3, 4, 4)
    program = edgebn.from_torch(module, x[:1])
    result = reference.run(program, channels_last(x.numpy()))
    with torch.no_grad():
        expected = np.stack([module(sample[None]).numpy() for sample in x])
    images = ("broadcast", "taken", "split", "padded", "softmaxed")  # whose output is read as an image or a stack of them
    result = np.moveaxis(result, -1, 1) if name in images else result
    assert np.abs(result.reshape(expected.shape) - expected).max() <= TOLERANCE * np.ptp(expected)


def test_layers_are_named_after_their_modules():
    module, x = made("resnet8")
    names = [layer.name for layer in reader.from_torch(module, x).layers]
    assert names[:3] == ["0", "1", "2"]
    assert {"3.conv1", "3.bn1", "3.conv2", "3.bn2", "4.shortcut.0", "4.shortcut.1", "8"} <= set(names)
    assert len(set(names)) == len(names)


def test_two_inputs():
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 3, 3, padding=1)

        def forward(self, image, vector):
            return self.conv(image) + vector[:, :, None, None]

    module, image, vector = Sum(), torch.randn(2, 2, 4, 4), torch.randn(2, 3)
    program = edgebn.from_torch(module, (image, vector))
    result = reference.run(program, {"image": channels_last(image.numpy()), "vector": vector.numpy()})
    with torch.no_grad():
        expected = channels_last(module(image, vector).numpy())
    assert np.abs(result - expected).max() <= TOLERANCE * np.ptp(expected)


def test_strided_and_half_precision_weights():
    """Weights that are views of a larger storage, expanded, or stored as float16 and bfloat16."""
    parts = {
        "strided": torch.randn(8, 6)[::2].t(),
        "expanded": torch.randn(1, 1).expand(4, 5),
        "half": torch.randn(5).half(),
        "brain": torch.randn(5).bfloat16(),
    }
    module = Does(lambda m, x: (x @ m.strided) @ m.expanded * m.half.float() + m.brain.to(torch.float32), **parts)
    x = torch.randn(2, 6)
    assert_equal(edgebn.from_torch(module, x), module, x)


TABLE = torch.arange(96.0).view(2, 3, 4, 4)


class Tagged(torch.Tensor):
    """A subclass, which PyTorch saves as a pickle."""


def changed_after_a_view(x):
    y = x + 1
    view = y.view(2, -1)
    y.relu_()
    return view + 1


# Functions that must be refused, and a part of the message.
REFUSED = {
    "batch_statistics": (lambda m, x: functional.batch_norm(x, None, None, training=True), r"module.eval\(\)"),
    "batch_mean": (lambda m, x: x - x.mean(0, keepdim=True), "along the batch axis"),
    "all_mean": (lambda m, x: x * x.mean(), "along the batch axis"),
    "batch_moved": (lambda m, x: x.transpose(0, 1) + 1, "has the batch in axis 1"),
    "batch_mixed": (lambda m, x: x.reshape(3, 32) + 1, "mixes the batch axis with others.*export it with an example of one"),
    "batch_flattened": (lambda m, x: x.flatten() @ torch.ones(96, 2), "multiplies along the batch axis"),
    "batch_folded": (lambda m, x: x.reshape(6, 16).softmax(0), "along the batch axis"),
    "batch_taken": (lambda m, x: x[0] + 1, "picks from the batch axis"),
    "batch_cut": (lambda m, x: x[1:] + 1, "cuts the batch axis"),
    "batch_of_constants": (lambda m, x: x * x.shape[1] + torch.ones(2, 3, 4, 4) + TABLE, "differs along the batch axis"),
    "weight_made": (lambda m, x: functional.conv2d(x, x[:, :, :1, :1]), "computed by the network"),
    "half": (lambda m, x: x.half().float(), "changes the type"),
    "stale_view": (lambda m, x: changed_after_a_view(x), "changes in place"),
    "constant_output": (lambda m, x: (x + 1, torch.ones(2, 3)), "constant"),
}


@pytest.mark.parametrize("size", [4, 5, 7])
@pytest.mark.parametrize("pool", [functional.adaptive_avg_pool2d, functional.adaptive_max_pool2d])
def test_adaptive_pools_of_windows_of_any_sizes(pool, size):
    module, x = Does(lambda m, x: pool(m.conv(x), 3), conv=nn.Conv2d(3, 4, 1)), torch.randn(2, 3, size, size + 1)
    assert_equal(edgebn.from_torch(module, x), module, x)


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    function, message = REFUSED[name]
    x = torch.randn(2, 3, 4, 4)
    with pytest.raises(edgebn.ModelError, match=message):
        edgebn.from_torch(Does(function), x)


@pytest.mark.parametrize(
    ("module", "example", "message"),
    [
        ("model.pt", torch.zeros(1, 3, 8, 8), "takes a torch.nn.Module, not str"),
        (nn.ReLU(), np.zeros((1, 3)), "takes an example tensor"),
        (nn.ReLU(), (), "takes an example tensor"),
        (nn.Conv2d(3, 4, 3), torch.zeros(1, 2, 8, 8), "torch.export cannot export this module with this example"),
        (nn.ReLU(), torch.zeros(1, 3, dtype=torch.float64), "not float32"),
        (nn.ReLU(), torch.tensor(1.0), "no batch axis"),
        (nn.Embedding(4, 2), torch.zeros(1, 3, dtype=torch.int64), "not float32"),
    ],
)
def test_bad_arguments(module, example, message):
    with pytest.raises(edgebn.ModelError, match=message):
        edgebn.from_torch(module, example)


def test_training_mode_is_refused(tmp_path):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    torch.export.save(torch.export.export(module.train(), (torch.randn(2, 3, 6, 6),)), tmp_path / "model.pt2")
    with pytest.raises(edgebn.ModelError, match=r"eval\(\)"):
        edgebn.load(tmp_path / "model.pt2")


def test_pickled_weights_are_refused_unopened(tmp_path, monkeypatch):
    module = nn.Linear(3, 2)
    module.weight = nn.Parameter(torch.randn(2, 3).as_subclass(Tagged))
    torch.export.save(torch.export.export(module.eval(), (torch.randn(2, 3),)), tmp_path / "model.pt2")
    monkeypatch.setattr("pickle.loads", lambda *_: pytest.fail("unpickled"))
    with pytest.raises(edgebn.ModelError, match="pickle can run any code"):
        edgebn.load(tmp_path / "model.pt2")


def test_snippets_of_the_docs_run(tmp_path, monkeypatch):
    """The fences marked `python torch`, which tests/docs/test_docs.py leaves out where PyTorch is missing."""
    monkeypatch.chdir(tmp_path)
    names = {}
    page = (Path(__file__).parents[2] / "docs" / "pytorch.md").read_text(encoding="utf-8")
    snippets = re.findall(r"^```python torch\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    for snippet in snippets:
        exec(snippet, names)
    assert len(snippets) == 2
    assert names["program"].shapes[names["program"].inputs[0]] == (32, 32, 3)
