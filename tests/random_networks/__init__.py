"""Random ONNX networks held against onnxruntime: drawn by seed alone, run in float32 and through onnxruntime's quantiser, shrunk.

To draw another operator, write its drawer in the file of its family and add a row to the table in `operators.py`. `run.py` is the
command; `tests/test_random_networks.py` the permanent net.
"""
