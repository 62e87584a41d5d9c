"""How well the hot loops of the NEON kernels would keep the multipliers of a Raspberry Pi's core busy, without one: llvm-mca says.

    python -m benchmarks.kernels.arm_static [--json arm_static.json]

The kernels are compiled for AArch64 as the ahead-of-time objects are. For every function that KWS, ResNet-8 and AD run, its
innermost loop with the most multiplications goes through llvm-mca's model of the core: MACs a cycle, beside the peak, which is what
the same instructions reach on registers alone under the same model. What lies outside these loops (epilogues, the walk over rows)
and the memory's speed are not in the figures. Needs llvm-mca and llvm-objdump of LLVM 19 or newer (Debian: apt install llvm-19).
"""

from __future__ import annotations

import argparse
import functools
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.places import models_folder

# What `--worker` compiles and lists is the only part that imports the kernels: they are written for one instruction set at import.
NETWORKS = {"int8": ("kws_int8", "resnet8_int8", "ad01_int8"), "float32": ("kws_float", "resnet8_float", "ad01_fp32")}
MODELS_AT = models_folder() / "models"
OLDEST_LLVM = 19  # the first with a model of its own for every core below
ITERATIONS = 200  # of a loop, enough that its start does not show

# Products of one instruction. A product that is summed in further instructions counts once, where it is made.
MACS = {"sdot": 16, "smull": 8, "smull2": 8, "fmla": 4}
# The instructions that turn four vectors of inputs into sums, on registers alone: the peak of a core is what they reach there.
REGISTERS_ALONE = {
    ("neondot", "int8"): ("sdot v{0}.4s, v30.16b, v31.4b[0]",),
    ("neon", "int8"): (
        "smull v24.8h, v30.8b, v31.8b",
        "smull2 v25.8h, v30.16b, v31.16b",
        "addp v{1}.8h, v26.8h, v27.8h",
        "sadalp v{0}.4s, v28.8h",
    ),
    ("neon", "float32"): ("fmla v{0}.4s, v30.4s, v31.s[0]",),
    ("neondot", "float32"): ("fmla v{0}.4s, v30.4s, v31.s[0]",),
}


@dataclass(frozen=True)
class Core:
    """A Raspberry Pi's core: the instruction set that it runs, and the model that llvm-mca has of it or of its nearest relative."""

    name: str
    boards: str
    isa: str
    model: str


CORES = (
    Core("Cortex-A53", "Pi 3, Zero 2", "neon", "cortex-a53"),
    Core("Cortex-A72", "Pi 4", "neon", "cortex-a72"),
    Core("Cortex-A76", "Pi 5", "neondot", "neoverse-n1"),  # the A76's server form; LLVM has no model of the A76 itself
)


@dataclass(frozen=True)
class HotLoop:
    """One function's loop on one core.

    Attributes
    ----------
    macs : int
        That the function does for one inference.
    rate, peak : float
        MACs a cycle.
    """

    core: str
    network: str
    dtype: str
    function: str
    macs: int
    rate: float
    peak: float


def work(isa_name: str, folder: Path) -> None:
    """Compile the executor for an instruction set, and list which functions each network runs for how many MACs."""
    from edgebn.kernels import isa

    isa.select_for_building(isa_name)
    import edgebn
    from edgebn.kernels import aot_compiler, executor
    from edgebn.session.tables import Packed

    compiler = aot_compiler.Compiler(isa.SELECTED, "aarch64")
    (folder / f"{isa_name}.o").write_bytes(compiler.executor())
    found: dict[str, dict[str, int]] = {}
    operations = executor.by_code()
    for dtype, names in NETWORKS.items():
        for name in names:
            macs: dict[str, int] = defaultdict(int)
            packed = Packed(edgebn.load(MODELS_AT / f"{name}.tflite"))
            for words in (packed.codes if dtype == "int8" else packed.real).words:
                operation = operations[int(words[0])]
                arguments = {key: int(word) for (key, _), word in zip(operation.arguments, words[1:], strict=False)}
                function, count = _function(operation.name, arguments, isa.SELECTED)
                if count:
                    macs[function] += count
            found[name] = dict(macs)
    (folder / f"{isa_name}.json").write_text(json.dumps(found), encoding="utf-8")


def _function(name: str, given: dict[str, int], isa: object) -> tuple[str, int]:
    """Return the symbol of the function that a row of the operation table runs, and its MACs; 0 where it is no vector kernel."""
    from edgebn.kernels import depthwise_shapes, tile_shapes

    kind, _, dtype = name.rpartition("_")
    real = dtype == "f32"
    if kind not in {"tile", "depthwise_tile"}:
        return name, 0
    pixels = given["rows"] * given["columns"] * given["tap_rows"] * given["tap_columns"]
    if kind == "tile":
        mr, nv = tile_shapes.shapes(isa, real=real)[given["variant"]]
        channels = nv * isa.lanes * (given["blocks"] - 1) + given["last_channels"]
        return tile_shapes.function_name(dtype, mr, nv), pixels * channels * given["depth"] * (1 if real else 4)
    width = isa.vector_bytes // (4 if real else 1)
    return depthwise_shapes.function_name(dtype, given["variant"]), pixels * given["blocks"] * width


@functools.cache
def tool(name: str) -> str:
    """Return the command of the newest LLVM tool of that name, with a version in its name or without."""
    for command in (*(f"{name}-{number}" for number in range(30, OLDEST_LLVM - 1, -1)), name):
        if shutil.which(command):
            about = subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout
            if int(re.search(r"version (\d+)", about)[1]) >= OLDEST_LLVM:
                return command
    raise SystemExit(f"{name} of LLVM {OLDEST_LLVM} or newer is missing (Debian: apt install llvm-{OLDEST_LLVM})")


def instructions(object_file: Path) -> dict[str, list[tuple[int, str]]]:
    """Return (address, text) of every instruction, by function."""
    command = [tool("llvm-objdump"), "-d", "--no-show-raw-insn", str(object_file)]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    functions: dict[str, list[tuple[int, str]]] = {}
    current: list[tuple[int, str]] = []
    for line in listing.splitlines():
        if header := re.match(r"[0-9a-f]+ <(.*)>:", line):
            current = functions.setdefault(header[1], [])
        elif found := re.match(r"\s*([0-9a-f]+):\s+(\S.*)", line):
            current.append((int(found[1], 16), found[2]))
    return functions


def hot_loop(body: list[tuple[int, str]]) -> list[str]:
    """Return the innermost loop with the most multiplications."""
    places = {address: index for index, (address, _) in enumerate(body)}
    loops = []
    for end, (_, text) in enumerate(body):
        branch = re.match(r"(?:b\.\w+|cbn?z|tbn?z|b)\s.*?0x([0-9a-f]+)\b", text)
        begin = places.get(int(branch[1], 16), end + 1) if branch else end + 1
        if begin <= end:
            loops.append((begin, end))
    inner = [one for one in loops if not any(one != other and one[0] <= other[0] and other[1] <= one[1] for other in loops)]
    begin, end = max(inner, key=lambda loop: macs_of([text for _, text in body[loop[0] : loop[1] + 1]]))
    return [text for _, text in body[begin : end + 1]]


def macs_of(texts: list[str]) -> int:
    return sum(MACS.get(text.split()[0], 0) for text in texts)


def cycles(texts: list[str], model: str) -> float:
    """Return the cycles of one iteration, by llvm-mca."""
    source = "loop:\n" + "\n".join(re.sub(r"0x[0-9a-f]+ <.*>", "loop", text) for text in texts) + "\n"
    command = [tool("llvm-mca"), "-mtriple=aarch64", f"-mcpu={model}", "-mattr=+dotprod", f"-iterations={ITERATIONS}", "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[0]} does not take a loop: {done.stderr[:400]}")
    return int(re.search(r"Total Cycles:\s+(\d+)", done.stdout)[1]) / ITERATIONS


@functools.cache
def peak(isa: str, dtype: str, model: str) -> float:
    """Return the MACs a cycle of the tiles' instructions on registers alone."""
    sums = 16
    texts = [text.format(i, 16 + i % 8) for i in range(sums) for text in REGISTERS_ALONE[isa, dtype]]
    return macs_of(texts) / cycles(texts, model)


def measure() -> list[HotLoop]:
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for isa in sorted({core.isa for core in CORES}):
            subprocess.run([sys.executable, "-m", "benchmarks.kernels.arm_static", "--worker", isa, name], check=True)
            bodies = instructions(folder / f"{isa}.o")
            used = json.loads((folder / f"{isa}.json").read_text(encoding="utf-8"))
            for core in (one for one in CORES if one.isa == isa):
                for dtype, names in NETWORKS.items():
                    for network in names:
                        for function, macs in sorted(used[network].items(), key=lambda item: -item[1]):
                            loop = hot_loop(bodies[function])
                            rate = macs_of(loop) / cycles(loop, core.model)
                            rows.append(HotLoop(core.name, network, dtype, function, macs, rate, peak(isa, dtype, core.model)))
    return rows


def report(rows: list[HotLoop]) -> None:
    print(f"{'core':12}{'network':16}{'function':30}{'MACs':>12}{'MAC/cycle':>11}{'peak':>7}{'share':>8}")
    for row in rows:
        shown = f"{row.core:12}{row.network:16}{row.function.removeprefix('edgebn_'):30}{row.macs:12,}"
        print(f"{shown}{row.rate:11.2f}{row.peak:7.1f}{100 * row.rate / row.peak:7.1f} %")
    print("\nall of a network's convolutions, by MACs")
    for core, network in dict.fromkeys((row.core, row.network) for row in rows):
        mine = [row for row in rows if (row.core, row.network) == (core, network)]
        share = sum(row.macs for row in mine) / sum(row.macs * row.peak / row.rate for row in mine)
        hottest = max(mine, key=lambda row: row.macs)
        print(f"{core:12}{network:16}{100 * share:7.1f} %   hottest loop {100 * hottest.rate / hottest.peak:7.1f} %")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", nargs=2, metavar=("ISA", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker[0], Path(options.worker[1]))
        return
    if not MODELS_AT.exists():
        raise SystemExit(f"the benchmark networks are not at {MODELS_AT}")
    rows = measure()
    report(rows)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
