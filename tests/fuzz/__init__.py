"""One mutator a format: reader name -> (function that makes seed files, function that damages one, file suffix)."""

from tests.fuzz import edgebn_files, keras_files, onnx_files, tflite_files, torch_files

FORMATS = {
    "edgebn": (edgebn_files.seeds, edgebn_files.mutate, ".edgebn"),
    "h5": (keras_files.h5_seeds, keras_files.mutate_h5, ".h5"),
    "keras": (keras_files.keras_seeds, keras_files.mutate_keras, ".keras"),
    "onnx": (onnx_files.seeds, onnx_files.mutate, ".onnx"),
    "pt2": (torch_files.seeds, torch_files.mutate, ".pt2"),
    "tflite": (tflite_files.seeds, tflite_files.mutate, ".tflite"),
}
