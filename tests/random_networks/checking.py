"""What comes of one network: edgebn beside onnxruntime, in float32 or quantised by onnxruntime, and the rules of judging."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

from edgebn.errors import EdgebnError
from edgebn.formats.onnx import from_proto
from edgebn.passes import as_states, lower
from edgebn.passes.graph.layout import channels_first_values
from edgebn.program import Program
from tests.programs import outputs_of
from tests.random_networks.networks import Network
from tests.random_networks.quantizing import Settings, quantized
from tests.random_networks.running import run_onnxruntime
from tests.random_networks.steps import output_steps

FLOAT_TOLERANCE = 2e-5  # of the output's range
STEPS = 2.01  # of an output's codes; a float32 rounding is not a step more
SHAKES = 4  # runs with scales, or inputs, that differ in their last digits
LARGEST = np.finfo(np.float32).max
SHAKEN_BY = 1e-6  # of a scale: more than onnxruntime's roundings, too little to change any code that is not a tie


@dataclass
class Outcome:
    """What happened to a network.

    Attributes
    ----------
    verdict : str
        'passed'; 'refused' by edgebn with one of its own errors; 'untold' where onnxruntime itself does not run it; or a fault:
        'crashed', 'shape', 'far'.
    reason : str
        Of a refusal or a crash, the message; of another fault, what was wrong.
    error : float
        Of what is far off: how far.
    """

    verdict: str
    reason: str = ""
    error: float = 0.0

    @property
    def fault(self) -> bool:
        return self.verdict in ("crashed", "shape", "far")


def run_edgebn(
    model: onnx.ModelProto, samples: dict[str, np.ndarray], states: Mapping[str, str] | None = None
) -> dict[str, np.ndarray]:
    """Return every output in the file's layout, each with the shape it has in a session; all samples as one batch."""
    program, given, turned = lowered(model, samples, states)
    results = outputs_of(program, given)
    for name, array in results.items():
        if array.shape[1:] != program.shapes[name]:
            raise AssertionError(f"'{name}' comes out as {array.shape[1:]} and is declared as {program.shapes[name]}")
    return {name: np.moveaxis(array, -1, 1) if name in turned else array for name, array in results.items()}


def lowered(
    model: onnx.ModelProto, samples: dict[str, np.ndarray], states: Mapping[str, str] | None = None
) -> tuple[Program, dict[str, np.ndarray], Collection[str]]:
    """Return the program, the samples in its layout, and the values whose channels come first in the file."""
    graph = from_proto(model, "a random network")
    graph = as_states(graph, states) if states else graph
    turned = channels_first_values(graph)
    return lower(graph), {name: np.moveaxis(array, 1, -1) if name in turned else array for name, array in samples.items()}, turned


def attempt(
    model: onnx.ModelProto, samples: dict[str, np.ndarray], states: Mapping[str, str] | None = None
) -> dict[str, np.ndarray] | Outcome:
    """Return edgebn's outputs, or the outcome where there are none."""
    try:
        return run_edgebn(model, samples, states) if states else run_edgebn(model, samples)
    except EdgebnError as error:
        return Outcome("refused", str(error))
    except Exception as error:  # noqa: BLE001  # whatever escapes is a finding
        import traceback

        frame = traceback.extract_tb(error.__traceback__)[-1]
        return Outcome("crashed", f"{type(error).__name__}: {error} at {frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}")


def extent(array: np.ndarray) -> float:
    """Return a value's range, 0 included."""
    return float(max(array.max(), 0.0) - min(array.min(), 0.0)) or 1.0


def _same_overflow(given: np.ndarray, expected: np.ndarray) -> bool:
    """Whether two arrays leave float32 at the same places and in the same direction.

    onnxruntime's Clip without bounds makes infinity the largest number of float32, so that counts as infinity here.
    """
    over, beyond = np.abs(given) >= LARGEST, np.abs(expected) >= LARGEST
    return np.array_equal(over * np.sign(given), beyond * np.sign(expected), equal_nan=True)


def check_float(network: Network) -> Outcome:
    """Hold a float32 network against onnxruntime: same shapes, and numbers within 2e-5 of each output's range.

    Where onnxruntime's own numbers differ by more than a quarter of that, with and without its optimiser or under inputs that are
    one unit in the last place away, the network is ill-conditioned and four times their difference is allowed.
    """
    model, samples, states = network.model, network.samples, network.states
    try:
        plain, optimised = (run_onnxruntime(model, samples, optimised=flag, states=states) for flag in (False, True))
    except Exception as error:  # noqa: BLE001  # onnxruntime's exceptions have no base of their own
        return Outcome("untold", str(error))
    given = attempt(model, samples, states)
    if isinstance(given, Outcome):
        return given
    for name, expected in plain.items():
        if name not in given or given[name].shape != expected.shape:
            return Outcome("shape", f"{name}: {given[name].shape if name in given else None}, not {expected.shape}")
        if not _same_overflow(given[name], expected):
            return Outcome("far", f"{name}: other numbers leave the range of float32")
        finite = np.abs(expected) < LARGEST  # False too where it is not a number
        if not finite.any():
            continue
        wanted, found, others = (array[finite] for array in (expected, given[name], optimised[name]))
        scale = extent(wanted)
        allowed = max(FLOAT_TOLERANCE, 4 * np.abs(others - wanted).max() / scale)
        error = np.abs(found - wanted).max() / scale
        if not error <= allowed and not error <= 4 * _conditioning(network, name, expected) / scale:
            return Outcome("far", f"{name}: {error:.2g} of its range", error)
    return Outcome("passed")


def _conditioning(network: Network, name: str, expected: np.ndarray) -> float:
    """Return how far an output of onnxruntime moves at most when every input moves by one unit in the last place."""
    rng = np.random.default_rng(network.seed)
    moved = 0.0
    for _ in range(SHAKES):
        samples = {
            key: np.nextafter(value, rng.choice([-np.inf, np.inf], value.shape).astype(value.dtype))
            for key, value in network.samples.items()
        }
        run = run_onnxruntime(network.model, samples, optimised=False, states=network.states)[name]
        both = (np.abs(run) < LARGEST) & (np.abs(expected) < LARGEST)
        moved = max(moved, float(np.abs(run - expected)[both].max(initial=0)))
    return moved


def shaken(model: onnx.ModelProto, rng: np.random.Generator) -> onnx.ModelProto:
    """Return a quantised model whose scales are changed by a millionth, up or down: ties between two codes go either way."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    scales = {name for node in model.graph.node if "Q" in node.op_type or "Quant" in node.op_type for name in node.input}
    for tensor in changed.graph.initializer:
        if tensor.name in scales and tensor.data_type == onnx.TensorProto.FLOAT:
            scale = numpy_helper.to_array(tensor) * np.float32(1 + rng.choice([-1, 1]) * SHAKEN_BY)
            tensor.CopyFrom(numpy_helper.from_array(scale, tensor.name))
    return changed


def check_quantized(network: Network, settings: Settings) -> Outcome:
    """Quantise a network by onnxruntime, and hold it against that (`check_codes`)."""
    try:
        model = quantized(network.model, network.calibration, settings)
    except Exception as error:  # noqa: BLE001  # onnxruntime's exceptions have no base of their own
        return Outcome("untold", str(error))
    return check_codes(model, network.samples, network.seed)


def check_codes(model: onnx.ModelProto, samples: dict[str, np.ndarray], seed: int) -> Outcome:
    """Hold a quantised network against onnxruntime: same shapes, and numbers within two steps of its own.

    A step is the scale of an output's codes, or what becomes of one step in the codes before (`steps.py`). onnxruntime's own
    numbers are those with its optimiser, without it, and without it under scales that differ by a millionth. Where its runs differ,
    by ties that later layers magnify or because it computes in two ways, everything between them counts as its own, number by
    number, and the two steps become two and the greatest difference: ties have more ways to go than were tried. Where its runs
    agree nothing is added.
    """
    try:
        optimised, plain = (run_onnxruntime(model, samples, optimised=flag) for flag in (True, False))
        rng = np.random.default_rng(seed)
        steps = output_steps(model, samples)
        others = [run_onnxruntime(shaken(model, rng), samples, optimised=False) for _ in range(SHAKES)]
    except Exception as error:  # noqa: BLE001  # onnxruntime's exceptions have no base of their own
        return Outcome("untold", str(error))
    given = attempt(model, samples)
    if isinstance(given, Outcome):
        return given
    for name, expected in plain.items():
        if name not in given or given[name].shape != expected.shape:
            return Outcome("shape", f"{name}: {given[name].shape if name in given else None}, not {expected.shape}")
        runs = np.stack([run[name] for run in (plain, optimised, *others)])
        finite = np.isfinite(runs).all(axis=0)  # float32 layers behind codes may divide by zero
        if np.isfinite(given[name][~np.isfinite(runs).any(axis=0)]).any():
            return Outcome("far", f"{name}: finite where onnxruntime's numbers are not")
        if not finite.any():
            continue
        runs, found = runs[:, finite], given[name][finite]
        step = max(steps[name], FLOAT_TOLERANCE * extent(runs[0]) / STEPS)
        spread = np.ptp(runs, axis=0).max() / step
        error = np.maximum(found - runs.max(axis=0), runs.min(axis=0) - found).max() / step
        if not error <= STEPS + spread:
            words = f"{name}: {error:.4g} steps beyond onnxruntime's own runs, which differ by up to {spread:.3g}"
            return Outcome("far", words, error)
    return Outcome("passed")
