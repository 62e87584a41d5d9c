"""Measures on source samples what adaptation needs: source statistics where the model came folded, source tables, noise, margin."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgebn import program as p
from edgebn.adapt.adapter import Adapter
from edgebn.adapt.engines import Engine, SessionEngine
from edgebn.adapt.labels import checked_labels
from edgebn.adapt.policies.compensated import Compensated
from edgebn.adapt.policy import SampleStatistics, SourceSamples
from edgebn.adapt.prediction import predict
from edgebn.adapt.rows import Rows, check_rows, most_rows, row_step, shown_rows
from edgebn.adapt.rule import bounded, energy_of
from edgebn.adapt.source_moments import (
    Adaptable,
    Moments,
    accumulator_bounds,
    adaptable_steps,
    batch_norm,
    describe,
    trained_moments,
)
from edgebn.adapt.source_statistics import SourceStatistics
from edgebn.adapt.source_tables import SourceMeasurements, measure_source, measure_strength
from edgebn.adaptation import Adaptation, AdaptedLayer
from edgebn.arguments import checked_program
from edgebn.errors import ModelError, QuantizationError
from edgebn.reference.statistics import deviations
from edgebn.session import Session, arrays

PASSES_TO_LOCATE = 3  # over the images, for the statistics of a folded model: each narrows the window of 16 bits
MIN_SAMPLES = 2
MAX_TRIALS = 1000  # labelled samples on which another reference is tried
STREAK = 32  # samples of a sequence that stand for one: each has few positions, and they belong together
MAX_UNREST = 0.8  # of the gate's threshold: what the evidence may come to on source samples, 99 % of the time


def adaptable(
    model: p.Program,
    images: Any,
    labels: Any = None,
    *,
    rows: Rows = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> p.Program:
    """Measure what a program needs in order to adapt, and return it with that inside.

    What every layer's statistics look like there, by class, is measured on about 300 typical samples a class (fewer work),
    through the very kernels that run later. A model that came already folded has no batch-norm statistics: its layers' means and
    variances are measured on the same samples, and the layers are normalised against them.

    Parameters
    ----------
    model : Program
        float32 or int8. Its outputs stay what they are, bit for bit.
    images : ndarray (N, ...), or dict of input name to such
        Typical inputs, as `Session.run` takes them; of a network with states one after the other, as they come.
    labels : ndarray of int (N,), optional
        Their true classes. With them it is asked whether the images are shifted themselves: where adapting to what they differ by
        from the source statistics lowers the errors beyond chance, the source statistics are the reference, otherwise the images.
    rows : int or dict of step name to int, optional
        Observe every n-th row of output only (0: leave the layer out). None: a choice that costs little of an inference
        (`edgebn.adapt.rows`).
    progress : callable, optional
        Called as progress(samples done, samples in all).

    Returns
    -------
    Program

    Raises
    ------
    ModelError
        Nothing in the model can adapt, an input of the wrong shape, rows of unknown layers or that are no whole numbers, or labels
        that fit no class.
    QuantizationError
        Fewer than two images.
    """
    checked_program(model, "edgebn.adaptable")
    inputs, count, _ = arrays.accept(model, images)
    if count < MIN_SAMPLES:
        raise QuantizationError(f"{model.source}: {count} images are too few to measure source tables; give a few hundred")
    plain = replace(model, adaptation=None)
    check_rows(plain, rows)
    able = adaptable_steps(plain)
    if not able:
        raise ModelError(f"{model.source}: no layer can adapt: there is no batch norm in an epilogue, nor a folded convolution")
    steps = [step for step in able if row_step(plain, step, rows) > 0]
    if not steps:
        raise ModelError(f"{model.source}: rows leaves out every layer that can adapt; give at least one of them 1 or more")
    folded = [step for step in steps if batch_norm(step) is None]
    total = count * (2 + (PASSES_TO_LOCATE if folded else 0))
    report = _Progress(progress, total)
    layers = (
        _located(plain, steps, inputs, rows, report)
        if folded
        else [
            describe(plain, step, trained_moments(plain, step), shown_rows(plain, step, rows), _norm_name(step)) for step in steps
        ]
    )
    logits, classes = _logits(plain)
    nothing = np.zeros(len(layers), np.float32)
    bare = replace(plain, adaptation=Adaptation(tuple(layers), classes, logits, 1.0, 1.0, nothing, ()))
    observations = _observe(SessionEngine(Session(bare)), SourceStatistics(bare), inputs, report)
    strength = _strength(plain, layers[0], inputs, report)
    samples = SourceSamples(
        observations.first,
        observations.second,
        observations.predicted,
        observations.margin,
        classes,
        SourceStatistics(bare).slices,
        strength,
    )
    assert bare.adaptation is not None
    adaptation = _filled(bare.adaptation, measure_source(samples), strength)
    if labels is not None:
        centred = _filled(bare.adaptation, measure_source(samples, centred=True), strength)
        if _is_better(
            replace(plain, adaptation=centred), inputs, checked_labels(model, labels, count, classes), observations.predicted
        ):
            return replace(model, adaptation=centred)
    if classes:
        unrest = np.float64(
            _unrest(SourceStatistics(replace(plain, adaptation=adaptation)), samples, is_sequence=bool(model.states))
        )
        noise = np.minimum(adaptation.noise * unrest, np.finfo(np.float32).max).astype(np.float32)
        adaptation = replace(adaptation, noise=noise)
    return replace(model, adaptation=adaptation)


class _Progress:
    def __init__(self, tell: Callable[[int, int | None], None] | None, total: int) -> None:
        self._tell, self._total, self._done = tell, total, 0

    def step(self) -> None:
        self._done += 1
        if self._tell is not None:
            self._tell(self._done, self._total)


@dataclass(frozen=True)
class _SourceObservations:
    first: np.ndarray
    second: np.ndarray
    predicted: np.ndarray
    margin: np.ndarray


def _norm_name(step: Adaptable) -> str:
    norm = batch_norm(step)
    return "" if norm is None else norm.layer


def _logits(program: p.Program) -> tuple[str, int]:
    """Return the buffer that predictions are read from and its size, or ('', 0) where the network does not classify.

    A network classifies if its one output is a vector of two or more numbers, through a softmax or of another size than its input,
    or a single probability through a sigmoid: then there are two classes.
    """
    if len(program.outputs) != 1 or len(program.inputs) != 1:
        return "", 0
    makers = {step.output: step for step in program.steps}
    name = program.outputs[0]
    has_softmax = has_sigmoid = False
    while isinstance(makers.get(name), p.Softmax | p.Reshape | p.Dequantize) or _is_sigmoid(makers.get(name), program):
        has_softmax |= isinstance(makers[name], p.Softmax)
        has_sigmoid |= _is_sigmoid(makers[name], program)
        name = makers[name].inputs[0]
    shape = program.buffers[name].shape
    size = int(np.prod(shape))
    if has_sigmoid:
        return name, 2
    is_vector = sum(side > 1 for side in program.shapes[program.outputs[0]]) == 1
    if not is_vector or size < 2 or not (has_softmax or size != int(np.prod(program.buffers[program.inputs[0]].shape))):
        return "", 0
    return name, size


def _is_sigmoid(step: p.Step | None, program: p.Program) -> bool:
    """Return whether a step makes one probability: a sigmoid, or a table of codes that rises within 0 and 1."""
    if step is None or math.prod(program.buffers[step.output].shape) != 1:
        return False
    if isinstance(step, p.Lookup):
        made = program.buffers[step.output]
        real = (step.table.reshape(-1).astype(np.int64) - made.zero_point) * made.scale
        return len(real) == 256 and bool((np.diff(real) >= 0).all() and 0 <= real[0] < real[-1] <= 1)  # all codes
    return isinstance(step, p.Elementwise) and step.function == "sigmoid"


def _samples(inputs: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    for i in range(len(next(iter(inputs.values())))):
        yield {name: value[i : i + 1] for name, value in inputs.items()}


def _observe(engine: Engine, source: SourceStatistics, inputs: Mapping[str, np.ndarray], report: _Progress) -> _SourceObservations:
    firsts, seconds, predictions = [], [], []
    for sample in _samples(inputs):
        observed = engine.observe(sample)
        with np.errstate(all="ignore"):  # what is not finite is refused
            first, second = deviations(observed.first, observed.second, source.factors)
        for name, where in zip(source.names, source.slices, strict=True):
            if not (np.isfinite(first[where]).all() and np.isfinite(second[where]).all()):
                raise ModelError(
                    f"{engine.program.source}: on these images the values of layer '{name}' are so large that their squares "
                    f"overflow; check how the images are scaled, or leave the layer out with rows={{'{name}': 0}}"
                )
        if not np.isfinite(observed.logits).all():
            raise ModelError(
                f"{engine.program.source}: on these images it gives infinite numbers or NaN; check how they are scaled"
            )
        firsts.append(first)
        seconds.append(second)
        predictions.append(predict(observed.logits) if source.classes else (0, np.float32(0), np.float32(0)))
        report.step()
    label, _, margin = zip(*predictions, strict=True)
    arrays_of = [np.array(column) for column in (label, margin)]
    return _SourceObservations(np.array(firsts), np.array(seconds), arrays_of[0].astype(np.int64), arrays_of[1])


def _strength(program: p.Program, layer: AdaptedLayer, inputs: Mapping[str, np.ndarray], report: _Progress) -> float:
    """Return the strength of adaptation, measured on every row of the first adapted layer whatever is observed later."""
    step = next(step for step in adaptable_steps(program) if step.name == layer.observation.step)
    first, every = most_rows(program, step)
    whole = replace(layer, observation=replace(layer.observation, first_row=first, row_step=every))
    bare = replace(program, adaptation=Adaptation((whole,), 0, "", 1.0, 1.0, np.ones(1, np.float32), ()))
    observations = _observe(SessionEngine(Session(bare)), SourceStatistics(bare), inputs, report)
    length = STREAK if program.states else 1
    return measure_strength(*(_means_of_streaks(values, length) for values in (observations.first, observations.second)))


def _means_of_streaks(values: np.ndarray, length: int) -> np.ndarray:
    """Return means of so many samples in a row; of fewer samples than that one mean."""
    whole = max(len(values) // length, 1)
    return np.stack([part.mean(axis=0) for part in np.array_split(values[: whole * length], whole)])


def _filled(bare: Adaptation, source: SourceMeasurements, strength: float) -> Adaptation:
    return replace(bare, margin=source.margin, strength=strength, noise=source.noise, tables=source.tables)


def _is_better(centred: p.Program, inputs: Mapping[str, np.ndarray], labels: np.ndarray, predicted: np.ndarray) -> bool:
    """Return whether adapting to what the samples differ by mends more errors in them than it makes, beyond chance (two sigmas)."""
    count = len(labels)
    at = (np.arange(count) if centred.states else np.random.default_rng(0).permutation(count))[:MAX_TRIALS]
    session = Session(centred)
    answer = Adapter(session, Compensated.name).run({name: value[at] for name, value in inputs.items()})
    scores = answer.reshape(len(at), -1)
    found = np.argmax(scores, axis=1) if scores.shape[1] > 1 else _is_likely(scores[:, 0], centred).astype(np.int64)
    mended = int(((found == labels[at]) & (predicted[at] != labels[at])).sum())
    broken = int(((found != labels[at]) & (predicted[at] == labels[at])).sum())
    return mended - broken > 2 * math.sqrt(mended + broken)


def _is_likely(scores: np.ndarray, program: p.Program) -> np.ndarray:
    """Return whether single probabilities, as a session gives them, are above a half."""
    made = program.buffers[program.outputs[0]]
    real = scores if scores.dtype == np.float32 else (scores.astype(np.int64) - made.zero_point) * made.scale
    return np.asarray(real) > 0.5  # a half


def _unrest(source: SourceStatistics, samples: SourceSamples, *, is_sequence: bool) -> np.float32:
    """Return by how much the noise must be raised so that the gate stays shut on source samples: 1 for most networks.

    The samples are replayed, mixed and sorted by class, those of a sequence as they came: shut gates change no statistics, so what
    was recorded can be used again.
    """
    policy = Compensated(source)
    mixed = np.random.default_rng(0).permutation(len(samples.predicted))
    orders = [np.arange(len(mixed))] if is_sequence else [mixed, mixed[np.argsort(samples.predicted[mixed], kind="stable")]]
    levels = []
    for order in orders:
        state = policy.start()
        for i in order:
            observations = SampleStatistics(
                samples.first[i], samples.second[i], int(samples.predicted[i]), np.float32(0), samples.margin[i]
            )
            policy.update(state, observations)
            _, energy = energy_of(source, *bounded(policy.estimate(state), np.float32(np.inf)))
            levels.append(policy.level(energy) / policy.threshold(state))
    return np.float32(max(1.0, float(np.percentile(levels, 99)) / MAX_UNREST))


def _located(
    program: p.Program, steps: list[Adaptable], inputs: Mapping[str, np.ndarray], rows: Rows, report: _Progress
) -> list[AdaptedLayer]:
    """Return the records of steps some of which have no batch norm: their statistics are measured.

    The first pass looks at accumulators through a window of 16 bits as wide as their bounds; the next through windows around what
    was found. Each is one run over the images.
    """
    moments = [_guess(program, step) if batch_norm(step) is None else trained_moments(program, step) for step in steps]
    for _ in range(PASSES_TO_LOCATE):
        layers = [
            describe(program, step, one, most_rows(program, step), _norm_name(step))
            for step, one in zip(steps, moments, strict=True)
        ]
        nothing = np.zeros(len(layers), np.float32)
        bare = replace(program, adaptation=Adaptation(tuple(layers), 0, "", 1.0, 1.0, nothing, ()))
        source = SourceStatistics(bare)
        observations = _observe(SessionEngine(Session(bare)), source, inputs, report)
        first, second = (values.mean(axis=0, dtype=np.float64) for values in (observations.first, observations.second))
        for i, (step, layer, where) in enumerate(zip(steps, layers, source.slices, strict=True)):
            if batch_norm(step) is None:
                moments[i] = _moved(layer, first[where], second[where])
    return [
        describe(program, step, one, shown_rows(program, step, rows), _norm_name(step))
        for step, one in zip(steps, moments, strict=True)
    ]


def _guess(program: p.Program, step: Adaptable) -> Moments:
    """Return statistics as wide as everything the accumulators can be."""
    channels = program.buffers[step.output].shape[2]
    if p.step_dtype(step, program) == "float32":
        return Moments(np.zeros(channels), np.ones(channels), np.zeros(channels))
    low, high = (bound.astype(np.float64) for bound in accumulator_bounds(step))
    return Moments((low + high) / 2, ((high - low) / 64) ** 2, np.zeros(channels))


def _moved(layer: AdaptedLayer, first: np.ndarray, second: np.ndarray) -> Moments:
    """Return the statistics that mean deviations stand for, in accumulator units or real numbers."""
    observation = layer.observation
    unit = layer.sigma.astype(np.float64)
    center = observation.center.astype(np.float64)
    if observation.shift is not None:
        shift = observation.shift.astype(np.int64)
        unit = np.ldexp(unit, shift.astype(np.int32))
        center = center + ((np.int64(1) << shift) >> 1)
    variance = (second + layer.home - first**2) * unit**2
    nothing = np.zeros(len(first))
    return Moments(center + first * unit, np.where(layer.sigma > 0, np.maximum(variance, 0), 0), nothing)
