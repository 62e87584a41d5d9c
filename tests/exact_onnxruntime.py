"""Makes onnxruntime compute products of codes exactly, whatever the processor.

On x86-64 without VNNI its products of uint8 codes and int8 weights saturate at 16 bits, unless it is told to take others; and those
of QLinearMatMul even then, but not where the weights are uint8 codes of the same numbers.
"""

from __future__ import annotations

from typing import Any

ENTRY = "session.x64quantprecision"


def make_exact() -> None:
    """Let every session that is made from now on be exact where onnxruntime has exact kernels."""
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail
    from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as NoKernel

    begin = onnxruntime.InferenceSession.__init__

    def exact(self: Any, path_or_bytes: Any, sess_options: Any = None, *arguments: Any, **named: Any) -> None:
        options = onnxruntime.SessionOptions() if sess_options is None else sess_options
        if isinstance(path_or_bytes, bytes) and b"QLinearMatMul" in path_or_bytes:
            path_or_bytes = _with_unsigned_matrices(path_or_bytes)
        options.add_session_config_entry(ENTRY, "1")
        try:
            begin(self, path_or_bytes, options, *arguments, **named)
        except (NoKernel, Fail):  # it has no exact kernel, or writes a weight it prepares twice
            options.add_session_config_entry(ENTRY, "0")
            begin(self, path_or_bytes, options, *arguments, **named)

    onnxruntime.InferenceSession.__init__ = exact


def _with_unsigned_matrices(file: bytes) -> bytes:
    """Return a network whose int8 matrices are uint8 codes of the same numbers where uint8 codes are multiplied by them."""
    import numpy as np
    import onnx

    model = onnx.load_from_string(file)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    names = set()
    for node in model.graph.node:
        if node.op_type == "QLinearMatMul" and all(node.input[place] in constants for place in (2, 3, 5)):
            kinds = [constants[node.input[place]].data_type for place in (2, 3, 5)]
            if kinds == [onnx.TensorProto.UINT8, onnx.TensorProto.INT8, onnx.TensorProto.INT8]:
                names.update(node.input[place] for place in (3, 5))
    for name in names:
        codes = onnx.numpy_helper.to_array(constants[name]).astype(np.int16) + 128
        constants[name].CopyFrom(onnx.numpy_helper.from_array(codes.astype(np.uint8), name))
    return bytes(model.SerializeToString())
