"""Runs ONNX models through onnxruntime, on one thread."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import onnxruntime

onnxruntime.set_default_logger_severity(4)  # refusals are exceptions; its log repeats them


def session(model: onnx.ModelProto, *, optimised: bool) -> onnxruntime.InferenceSession:
    """Return onnxruntime's session, with every optimisation of the graph or with none."""
    options = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimised else levels.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run_onnxruntime(
    model: onnx.ModelProto,
    samples: dict[str, np.ndarray],
    *,
    optimised: bool,
    batch: int = 0,
    states: Mapping[str, str] | None = None,
) -> dict[str, np.ndarray]:
    """Return every output for every sample, in batches as large as the file or `batch` says; states begin with zeros."""
    run = session(model, optimised=optimised)
    names = [entry.name for entry in model.graph.output]
    batch = batch or model.graph.input[0].type.tensor_type.shape.dim[0].dim_value or 1
    places = range(0, len(next(iter(samples.values()))), batch)
    kept = {
        entry.name: np.zeros([axis.dim_value for axis in entry.type.tensor_type.shape.dim], np.float32)
        for entry in model.graph.input
        if entry.name in (states or {})
    }
    results = []
    for place in places:
        results.append(run.run(names, {name: array[place : place + batch] for name, array in samples.items()} | kept))
        kept = {name: results[-1][names.index(output)] for name, output in (states or {}).items()}
    names = [name for name in names if name not in (states or {}).values()]  # which stand behind the others
    return {name: np.concatenate([np.atleast_1d(result[index]) for result in results]) for index, name in enumerate(names)}
