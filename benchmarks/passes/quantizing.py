"""Times quantisation beside onnxruntime's static quantisation of the same float32 file with the same images, and its memory.

    python -m benchmarks.passes.quantizing [--images 100] [--size 224] [--networks mobilenet mobilenet_v2] [--json FILE]

Each runs in a process of its own, on one thread, calibration included; images are made as they are asked for, so that none of the
memory is theirs. Memory is the highest resident size beyond what the process had when quantisation began.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from benchmarks.models.mobilenet import mobilenet, mobilenet_v2
from benchmarks.peers.export_onnx import onnx_bytes
from benchmarks.peers.plain import plain

ROOT = Path(__file__).resolve().parents[2]
PIECE = 8  # images handed over at once

# Arguments: file, images, size. They print seconds, elapsed and of the core (where others use the machine these say more),
# and bytes beyond those at the start.
BEGIN = """
import json, resource, sys, time, warnings
from pathlib import Path
import numpy as np

def image(i):
    return np.random.default_rng(i).uniform(-1, 1, (size, size, 3)).astype(np.float32)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

path, images, size, piece = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
"""
END = """
seconds, work = time.perf_counter() - begin, time.process_time() - work
print(json.dumps({"seconds": seconds, "cpu_seconds": work, "bytes": peak() - before}))
"""
CHILDREN = {
    "edgebn": f"""{BEGIN}
import edgebn
program = edgebn.load(path)
edgebn.Session(program)  # loads the kernels: part of the program
before, begin, work = peak(), time.perf_counter(), time.process_time()
pieces = (np.stack([image(i) for i in range(start, min(start + piece, images))]) for start in range(0, images, piece))
edgebn.quantize(program, pieces)
{END}""",
    "onnxruntime": f"""{BEGIN}
import onnxruntime
from onnxruntime import quantization
class Images(quantization.CalibrationDataReader):
    def __init__(self):
        self.left = iter(range(images))
    def get_next(self):
        i = next(self.left, None)
        return None if i is None else {{name: image(i).transpose(2, 0, 1)[None]}}
name = onnxruntime.InferenceSession(path).get_inputs()[0].name
before, begin, work = peak(), time.perf_counter(), time.process_time()
quantization.quantize_static(path, path + ".int8", Images(), quant_format=quantization.QuantFormat.QDQ, per_channel=True,
                             weight_type=quantization.QuantType.QInt8)
{END}""",
}
NETWORKS = {
    "mobilenet": lambda size: mobilenet(size=size, widening=4, classes=1000),
    "mobilenet_v2": lambda size: mobilenet_v2(size=size),
}


def measured(engine: str, path: Path, images: int, size: int) -> dict[str, float]:
    """Return seconds and bytes of one quantisation."""
    settings = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CHILDREN[engine], str(path), str(images), str(size), str(PIECE)]
    done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{engine}: {done.stderr.strip()}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--engines", nargs="+", choices=CHILDREN, default=list(CHILDREN))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    print(f"{'network':14}{'engine':14}{'images':>8}{'seconds':>10}{'CPU s':>8}{'MB':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for network in arguments.networks:
            path = Path(folder) / f"{network}.onnx"
            path.write_bytes(onnx_bytes(plain(NETWORKS[network](arguments.size))))
            for engine in arguments.engines:
                if find_spec(engine) is None:
                    continue
                found = measured(engine, path, arguments.images, arguments.size)
                rows.append({"network": network, "engine": engine, "images": arguments.images, "size": arguments.size, **found})
                print(
                    f"{network:14}{engine:14}{arguments.images:8}{found['seconds']:10.1f}{found['cpu_seconds']:8.1f}"
                    f"{found['bytes'] / 1e6:8.0f}",
                    flush=True,
                )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
