"""Ranges in front of a softmax, against the extremes, on decisions that the search never saw."""

import numpy as np
import pytest

from edgebn import program as p
from edgebn.passes.quantization.head_ranges import TOLERANCE, HeadObserver, feature_range, softmax_range

CLASSES, CHANNELS = 5, 16


def rounded(values, ends):
    step = (ends[1] - ends[0]) / 255
    start = np.rint(ends[0] / step)
    return np.clip(np.rint(values / step), start, start + 255) * step


def softmax(x):
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def margin_error(exact, changed):
    """Root mean square error of the margin between the best two, over the half of the rows where it is smallest."""
    best = np.argsort(-exact, axis=1)[:, :2]
    margin, moved = (np.take_along_axis(rows, best, 1) @ np.array([1.0, -1.0]) for rows in (exact, changed))
    close = margin <= np.median(margin)
    return np.sqrt(((moved - margin)[close] ** 2).mean())


def dense():
    weight = np.random.default_rng(1).normal(size=(CLASSES, 1, 1, CHANNELS)).astype(np.float32)
    bias = np.linspace(-1, 1, CLASSES).astype(np.float32)
    return p.Convolution("dense", ("v",), "z", weight, p.FloatEpilogue(bias, np.ones_like(bias), np.zeros_like(bias)))


def features(count, seed):
    """Vectors of which one in two hundred, certain of its class, is twenty times as large."""
    rng = np.random.default_rng(seed)
    return rng.exponential(0.1, (count, CHANNELS)) * np.where(rng.random((count, 1)) < 0.005, 20.0, 1.0)


def logits_of(step, vectors):
    return vectors @ step.weight[:, 0, 0].T.astype(float) + step.epilogue.bias


def test_softmax_range_tells_classes_apart_better_than_the_extremes():
    """Two close logits on top and one far below: the far one may saturate, the close ones need the steps."""
    rng = np.random.default_rng(2)
    rows = np.stack([rng.uniform(3, 4, 500), rng.uniform(3, 4, 500), rng.uniform(-60, -10, 500)], axis=1)
    low, high = softmax_range(rows, 1.0)
    assert high - low < 0.6 * (rows.max() - rows.min())
    assert high >= 3.5


def test_logits_that_are_certain_may_saturate_and_probabilities_stay():
    step = dense()
    seen, unseen = logits_of(step, features(800, 3)), logits_of(step, features(4000, 4))
    ends = softmax_range(seen, 1.0)
    extremes = (seen.min(), seen.max())
    assert margin_error(unseen, rounded(unseen, ends)) < 0.7 * margin_error(unseen, rounded(unseen, extremes))
    assert np.sqrt(((softmax(rounded(seen, ends)) - softmax(seen)) ** 2).mean()) <= TOLERANCE


def test_features_of_the_last_dense_layer():
    step = dense()
    seen, unseen = features(800, 5), features(4000, 6)
    ends = feature_range(seen, step, logits_of(step, seen), 1.0)
    assert ends[0] == 0.0
    exact = logits_of(step, unseen)
    found, widest = (logits_of(step, rounded(unseen, pair)) for pair in (ends, (0.0, seen.max())))
    assert margin_error(exact, found) < 0.8 * margin_error(exact, widest)


def test_probabilities_decide_where_a_few_rows_cannot_tell_margins_apart():
    """The same rows over and over are many, of which margins decide."""
    errors = []
    for seed in range(6):
        few = np.random.default_rng(seed).normal(0, 4, (24, CLASSES))
        ends = [softmax_range(rows, 1.0) for rows in (few, np.tile(few, (6, 1)))]
        errors.append([np.sqrt(((softmax(rounded(few, pair)) - softmax(few)) ** 2).mean()) for pair in ends])
    assert all(few <= many for few, many in errors)
    assert sum(few < many for few, many in errors) >= 3


def network(*, extra_reader=False, classes=CLASSES):
    """x (4, 4, 16) -> global average -> reshape -> dense -> softmax."""
    step = dense()
    step = p.Convolution("dense", ("v",), "z", step.weight[:classes], p.FloatEpilogue(*(np.zeros(classes, np.float32),) * 3))
    steps = [
        p.Pool("mean", ("x",), "m", p.Window("average", (4, 4), (1, 1))),
        p.Reshape("flat", ("m",), "v"),
        step,
        p.Softmax("softmax", ("z",), "y"),
    ]
    outputs = ("y",)
    if extra_reader:
        steps.append(p.Elementwise("more", ("z",), "w", "clip", 0.0))
        outputs = ("y", "w")
    sizes = {"x": (4, 4, CHANNELS), "m": (1, 1, CHANNELS), "v": (1, 1, CHANNELS)} | dict.fromkeys("zyw", (1, 1, classes))
    buffers = {name: p.Buffer(name, shape) for name, shape in sizes.items()}
    shapes = {name: sizes[name] for name in ("x", *outputs)}
    return p.Program("m", "m.keras", "keras", False, buffers, {}, tuple(steps), ("x",), outputs, shapes)


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        pytest.param({}, {"m", "z"}, id="softmax alone"),
        pytest.param({"extra_reader": True}, set(), id="another reader"),
        pytest.param({"classes": 1}, set(), id="one class"),
    ],
)
def test_only_what_a_softmax_alone_reads_is_chosen(options, chosen):
    program = network(**options)
    observer = HeadObserver(program)
    rng = np.random.default_rng(7)
    for _ in range(2):
        values = {name: rng.random((6, *buffer.shape)).astype(np.float32) for name, buffer in program.buffers.items()}
        observer.see(values)
    found = observer.ranges()
    assert set(found) == chosen
    assert all(low <= 0.0 < high for low, high in found.values())


def test_logits_that_are_all_zero_have_a_range_of_nothing():
    assert softmax_range(np.zeros((8, 3)), 1.0) == (0.0, 0.0)
