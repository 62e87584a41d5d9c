"""The class-compensated policies against a plain float64 transcription of docs/adaptation.md, and what they promise."""

import numpy as np
import pytest

import edgebn
from edgebn.adapt import Adapter, adaptable
from edgebn.adapt.policies import POLICIES
from edgebn.adapt.policy import SampleStatistics, SourceSamples
from edgebn.adapt.rule import targets
from edgebn.adapt.source_statistics import SourceStatistics
from edgebn.adapt.source_tables import measure_source, measure_strength
from tests.demo_model import demo_images, demo_int8

CLASSES, CHANNELS = 4, 9
SLICES = (slice(0, 4), slice(4, 9))
BOUND = np.float32(6)


class Plain:
    """docs/adaptation.md, line by line, in float64."""

    def __init__(self, source, tracking):
        self.first, self.second = (table.astype(float) for table in source.tables("compensated"))
        self.strength, self.margin, self.noise = float(source.strength), float(source.margin), source.noise.astype(float)
        self.slices, self.tracking, self.least = source.slices, tracking, 0.0035 if tracking else 0.01
        size = source.channels
        self.s1, self.s2, self.f1, self.f2, self.n = np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size), 0

    def level(self, per_channel):
        return np.mean([per_channel[where].mean() / noise for where, noise in zip(self.slices, self.noise, strict=True)])

    def update(self, d1, d2, label, margin):
        u = min(margin / self.margin, 1)
        away = 1 - self.strength * (1 - u)
        variance = np.maximum(1 + self.s2 - self.s1**2, 0.01)
        b = np.minimum(np.sqrt(variance), 2) * (away * self.first[-1] + u * self.first[label])
        r1 = d1 - b
        r2 = (1 + d2 - 2 * b * d1 + b**2) / np.maximum(1 + away * self.second[-1] + u * self.second[label], 0.2) - 1
        if self.tracking:
            self.f1 += 0.1 * (r1 - self.f1)
            self.f2 += 0.1 * (r2 - self.f2)
            fast = np.maximum(1 + self.f2 - self.f1**2, 0.01)
            if self.level((self.f1 - self.s1) ** 2 + np.log(fast / variance) ** 2) > 0.4 and self.n > 5:
                self.n = 0
        self.n += 1
        a = self.rate()
        self.s1 += a * (r1 - self.s1)
        self.s2 += a * (r2 - self.s2)

    def rate(self):
        return max(1 / (16 + self.n), self.least)

    def targets(self):
        drift, ratio = np.clip(self.s1, -6, 6), np.clip(1 + self.s2 - self.s1**2, 0.01, 100)
        gate = np.clip(self.level(drift**2 + np.log(ratio) ** 2) / (0.015 + 1.2 * self.rate()) - 1, 0, 1)
        return self.strength * gate * drift, ratio ** (self.strength * gate), gate


class FakeSource:
    """A `SourceStatistics` without a program behind it."""

    layer_means, per_channel = SourceStatistics.layer_means, SourceStatistics.per_channel

    def __init__(self, source):
        self.channels, self.slices = CHANNELS, SLICES
        self.counts = np.array([4, 5])
        self._real_counts = self.counts.astype(np.float32)
        self._places = np.array([[0, 1, 2, 3, 9], [4, 5, 6, 7, 8]])
        self.margin, self.strength, self.noise = np.float32(source.margin), np.float32(0.9), source.noise
        self.source = source

    def tables(self, policy):
        (table,) = self.source.tables
        assert table.policy == policy
        scales = (np.repeat(scale, self.counts) for scale in (table.first_scale, table.second_scale))
        return tuple(codes.astype(np.float32) * scale for codes, scale in zip((table.first, table.second), scales, strict=True))


def world(seed, count, *, offset=0.0, scale=1.0):
    """Return samples of CLASSES classes whose channels have means and variances of their own."""
    rng, classes = np.random.default_rng(seed), np.random.default_rng(99)
    means, log_sizes = classes.normal(0, 0.3, (CLASSES, CHANNELS)), classes.normal(0, 0.3, (CLASSES, CHANNELS))
    label = rng.integers(0, CLASSES, count)
    mean = scale * (means[label] + rng.normal(0, 0.2, (count, CHANNELS))) + offset
    size = scale**2 * np.exp(log_sizes[label] + rng.normal(0, 0.2, (count, CHANNELS)))
    margin = rng.uniform(0, 6, count)
    return label, mean.astype(np.float32), (size + mean**2 - 1).astype(np.float32), margin.astype(np.float32)


@pytest.fixture(scope="module")
def source():
    label, first, second, margin = world(0, 2000)
    return FakeSource(measure_source(SourceSamples(first, second, label, margin, CLASSES, SLICES, 0.9)))


def run(policy, stream):
    state = policy.start()
    for label, first, second, margin in zip(*stream, strict=True):
        policy.update(state, SampleStatistics(first, second, int(label), np.float32(0), margin))
    return state


@pytest.mark.parametrize("name", ["compensated", "compensated-tracking"])
def test_equals_the_plain_transcription(source, name):
    policy, plain = POLICIES[name](source), Plain(source, name.endswith("tracking"))
    calm, shifted = world(1, 60), world(2, 200, offset=0.8, scale=0.4)
    state = policy.start()
    restarts = 0
    for label, first, second, margin in zip(*(np.concatenate(pair) for pair in zip(calm, shifted, strict=True)), strict=True):
        policy.update(state, SampleStatistics(first, second, int(label), np.float32(0), margin))
        plain.update(first.astype(float), second.astype(float), label, float(margin))
        restarts += plain.n == 1
        assert state.scalars[0] == plain.n
        ours = targets(source, policy, state, BOUND)
        drift, ratio, gate = plain.targets()
        np.testing.assert_allclose(ours.gate, gate, atol=2e-4)
        np.testing.assert_allclose(ours.drift, drift, rtol=1e-4, atol=2e-4)
        np.testing.assert_allclose(ours.ratio, ratio, rtol=3e-4)
    assert (restarts > 1) == name.endswith("tracking")  # it counts anew until it has caught up with the change


@pytest.mark.parametrize("name", ["compensated", "compensated-tracking"])
@pytest.mark.parametrize("order", ["mixed", "sorted"])
def test_home_keeps_the_factory_numbers_in_every_order(source, name, order):
    policy = POLICIES[name](source)
    label, first, second, margin = world(3, 800)
    at = np.argsort(label, kind="stable") if order == "sorted" else np.arange(800)
    state = run(policy, (label[at], first[at], second[at], margin[at]))
    there = targets(source, policy, state, BOUND)
    assert (there.gate == 0).all()
    assert (there.drift == 0).all()
    assert (there.ratio == 1).all()


@pytest.mark.parametrize("order", ["mixed", "sorted"])
def test_a_shifted_world_is_found_whatever_the_order(source, order):
    policy = POLICIES["compensated-tracking"](source)
    label, first, second, margin = world(4, 800, offset=0.5, scale=0.5)
    margin = np.full_like(margin, 9)
    at = np.argsort(label, kind="stable") if order == "sorted" else np.arange(800)
    state = run(policy, (label[at], first[at], second[at], margin[at]))
    estimate = policy.estimate(state)
    assert (targets(source, policy, state, BOUND).gate == 1).all()
    np.testing.assert_allclose(estimate.drift.mean(), 0.5, atol=0.05)
    assert np.abs(estimate.drift - 0.5).max() < 0.25  # what a class does to a channel is believed only as far as its margin
    at_home = policy.estimate(run(policy, world(5, 800)))
    np.testing.assert_allclose(np.median(estimate.ratio / at_home.ratio), 0.25, atol=0.06)


def test_strength_falls_with_how_much_samples_differ_by_nature():
    def strength(spread):
        second = np.exp(np.random.default_rng(0).normal(0, np.sqrt(spread), (4000, CHANNELS))) - 1
        return measure_strength(np.zeros_like(second), second)

    assert strength(0.51) == pytest.approx(0.5, abs=0.02)
    assert strength(0.1) > 0.95
    assert strength(1.5) < 0.1


def test_an_adapter_on_typical_images_keeps_the_factory_bytes():
    model = adaptable(demo_int8(), demo_images()[0])
    session, plain = edgebn.Session(model), edgebn.Session(demo_int8())
    adapter = Adapter(session)
    images = demo_images()[0]
    adapter.run(images)
    assert {layer.gate for layer in adapter.report().layers} == {0.0}
    np.testing.assert_array_equal(session.run(images), plain.run(images))


def test_centred_tables_know_no_offset_and_no_mean_effect():
    label, first, second, margin = world(6, 2000)
    samples = SourceSamples(first, second, label, margin, CLASSES, SLICES, 0.9)
    for codes in (lambda table: table.first, lambda table: table.second):
        (plain,), (centred,) = measure_source(samples).tables, measure_source(samples, centred=True).tables
        assert codes(plain)[-1].any()
        assert not codes(centred)[-1].any()
        assert np.abs(codes(centred)[:-1].astype(int).sum(axis=0)).max() <= CLASSES  # quantised one by one


def test_labels_make_the_factory_the_reference_where_home_itself_is_shifted():
    images, labels = demo_images()
    dim = images * np.float32(0.35)
    source, other = slice(0, 600), slice(600, 1000)
    model = adaptable(demo_int8(), dim[source], labels[source])
    plain = edgebn.Session(model).run(dim[other]).argmax(axis=1)
    adapted = Adapter(edgebn.Session(model)).run(dim[other]).argmax(axis=1)
    assert (adapted == labels[other]).sum() > (plain == labels[other]).sum() + 20
    typical = adaptable(demo_int8(), images[source], labels[source]).adaptation.tables[0]
    assert typical.first[-1].any()


def test_each_layer_shows_as_many_rows_by_default():
    layers = adaptable(demo_int8(), demo_images()[0][:20]).adaptation.layers
    heights = (28, 14)
    rows = [
        len(range(one.observation.first_row, height, one.observation.row_step))
        for one, height in zip(layers, heights, strict=False)
    ]
    assert rows[0] == rows[1] >= 1
