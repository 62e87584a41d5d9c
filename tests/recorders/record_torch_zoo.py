"""Save the zoo of small PyTorch modules as exported programs, with what PyTorch computes from them.

    python tests/recorders/record_torch_zoo.py [FOLDER ...]

Writes ``tests/recorded/<folder>/<name>.pt2`` and one ``zoo.npz`` with ``<name>/x`` (channels-first), ``<name>/y0`` and so on,
and ``versions``; the folders are those of `FOLDERS`. The archives, which PyTorch stores uncompressed, are deflated;
stack traces (paths of the recording machine) and pickled sample inputs are left out. Needs PyTorch; knows nothing of edgebn.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from torch_choosing import CHOOSING
from torch_constants import CONSTANTS
from torch_functions import FUNCTIONS
from torch_moving import MOVING
from torch_pooling import POOLING
from torch_quantized import QUANTIZED
from torch_recurrent import RECURRENT
from torch_rows import ROWS
from torch_whole import WHOLE
from torch_zoo import ZOO, randomise

RECORDED = Path(__file__).resolve().parent.parent / "recorded"
FOLDERS = {
    "torch_zoo": ZOO,
    "torch_rows": ROWS,
    "torch_functions": FUNCTIONS,
    "torch_moving": MOVING,
    "torch_constants": CONSTANTS,
    "torch_choosing": CHOOSING,
    "torch_whole": WHOLE,
    "torch_pooling": POOLING,
    "torch_quantized": QUANTIZED,
    "torch_recurrent": RECURRENT,
}
STAMP = (2026, 1, 1, 0, 0, 0)  # archives of equal content are equal files


def without_traces(text: bytes) -> bytes:
    """Return a program's JSON without stack traces."""
    program = json.loads(text)
    for node in program["graph_module"]["graph"]["nodes"]:
        node["metadata"].pop("stack_trace", None)
    return json.dumps(program, separators=(",", ":")).encode()


def shrink(archive: bytes, path: Path) -> None:
    """Write an archive compressed, without sample inputs and alignment padding."""
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as new:
        for name in old.namelist():
            if "sample_inputs" in name or "/.data/" in name:
                continue
            content = old.read(name)
            entry = zipfile.ZipInfo("model/" + name.split("/", 1)[1], STAMP)
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, without_traces(content) if name.endswith("models/model.json") else content)


def record(folder: str) -> None:
    """Build, export, run and save every module of one folder."""
    target = RECORDED / folder
    target.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, np.ndarray] = {"versions": np.array(json.dumps({"torch": torch.__version__}))}
    for name, builder in FOLDERS[folder].items():
        torch.manual_seed(zlib.crc32(name.encode()))
        module, shape = builder()
        randomise(module, zlib.crc32(name.encode()))
        x = torch.randn(shape)
        with torch.no_grad():
            outputs = module.eval()(x)
        stream = io.BytesIO()
        torch.export.save(torch.export.export(module, (x,)), stream)
        shrink(stream.getvalue(), target / f"{name}.pt2")
        arrays[f"{name}/x"] = x.numpy()
        for place, y in enumerate(outputs.values() if isinstance(outputs, dict) else [outputs]):
            arrays[f"{name}/y{place}"] = y.numpy()
    np.savez_compressed(target / "zoo.npz", **arrays)
    total = sum(file.stat().st_size for file in target.iterdir())
    print(f"{folder}: {len(FOLDERS[folder])} modules, {total / 1e6:.2f} MB")


def main() -> None:
    """Record the folders that are named, or all."""
    for folder in sys.argv[1:] or FOLDERS:
        record(folder)


if __name__ == "__main__":
    main()
