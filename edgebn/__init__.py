"""edgebn: convolution + batch-norm + ReLU networks in float32 and int8 on small boards.

Importing the package needs NumPy only; Numba is imported when the first `Session` is made, readers when a file needs them.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Public name -> the module that holds it; imported on first use so that a Pi starts quickly.
_PUBLIC = {
    "Adapter": "edgebn.adapt",
    "BatchNorm": "edgebn.batchnorm",
    "BoardError": "edgebn.errors",
    "EdgebnError": "edgebn.errors",
    "FleetError": "edgebn.errors",
    "LinkError": "edgebn.errors",
    "ModelError": "edgebn.errors",
    "Pipeline": "edgebn.pipeline",
    "Program": "edgebn.program",
    "QuantizationError": "edgebn.errors",
    "Session": "edgebn.session",
    "UnsupportedLayerError": "edgebn.errors",
    "UsageError": "edgebn.errors",
    "adaptable": "edgebn.adapt",
    "analyze": "edgebn.analysis",
    "error_table": "edgebn.api",
    "from_torch": "edgebn.api",
    "load": "edgebn.api",
    "prepare": "edgebn.preparation.prepare",
    "quantize": "edgebn.api",
    "save": "edgebn.api",
}

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604  # the names are strings


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'edgebn' has no attribute '{name}'")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
