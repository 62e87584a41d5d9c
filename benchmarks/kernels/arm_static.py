"""How well the hot loops of the NEON kernels would keep the multipliers of a board's core busy, without one: llvm-mca says.

    python -m benchmarks.kernels.arm_static [--json arm_static.json]
    python -m benchmarks.kernels.arm_static --others    every other vector kernel: how busy its loop keeps the units it needs most

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
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.kernels.assembly import plain
from benchmarks.places import models_folder

# What `--worker` compiles and lists is the only part that imports the kernels: they are written for one instruction set at import.
NETWORKS = {"int8": ("kws_int8", "resnet8_int8", "ad01_int8"), "float32": ("kws_float", "resnet8_float", "ad01_fp32")}
MODELS_AT = models_folder() / "models"
OLDEST_LLVM = 19  # the first with a model of its own for every core below
# Kernels in vectors beside the tiles, as functions are called without what all names begin with.
OTHERS = (
    r"(pointwise|power|add|scale|bilinear|average|long_average|maximum|winograd|transpose|dense|depthwise|product|softmax|norm|"
    r"recurrent)_|"
    r"(transposed_convolution|resize|softmax|lookup|normalization|pool_tile|add_tile|window_sum|observe|recurrence)\."
)
ITERATIONS = 200  # of a loop, enough that its start does not show

# Products of one instruction. A product that is summed in further instructions counts once, where it is made.
MACS = {"smmla": 32, "sdot": 16, "smull": 8, "smull2": 8, "fmla": 4}
# The instructions that turn four vectors of inputs into sums, on registers alone: the peak of a core is what they reach there.
REGISTERS_ALONE = {
    ("neoni8mm", "int8"): ("smmla v{0}.4s, v30.16b, v31.16b",),
    ("neondot", "int8"): ("sdot v{0}.4s, v30.16b, v31.4b[0]",),
    ("neon", "int8"): (
        "smull v24.8h, v30.8b, v31.8b",
        "smull2 v25.8h, v30.16b, v31.16b",
        "addp v{1}.8h, v26.8h, v27.8h",
        "sadalp v{0}.4s, v28.8h",
    ),
    ("neon", "float32"): ("fmla v{0}.4s, v30.4s, v31.s[0]",),
    ("neondot", "float32"): ("fmla v{0}.4s, v30.4s, v31.s[0]",),
    ("neoni8mm", "float32"): ("fmla v{0}.4s, v30.4s, v31.s[0]",),
}


@dataclass(frozen=True)
class Core:
    """A board's core: the instruction set that it runs, and the model that llvm-mca has of it or of its nearest relative.

    One that runs in order waits, by its model, wherever a load follows on a multiplication: the times of both add up.
    """

    name: str
    boards: str
    isa: str
    model: str
    in_order: bool = False


CORES = (
    Core("Cortex-A53", "Pi 3, Zero 2", "neon", "cortex-a53", in_order=True),
    Core("Cortex-A72", "Pi 4", "neon", "cortex-a72"),
    Core("Cortex-A76", "Pi 5", "neondot", "neoverse-n1"),  # the A76's server form; LLVM has no model of the A76 itself
    Core("Cortex-A720", "of Armv8.6 and later", "neoni8mm", "cortex-a720"),
)


@dataclass(frozen=True)
class OtherLoop:
    """The loop of a kernel that is not a tile, on one core: `busy` are the cycles that the units it needs most are busy with it."""

    core: str
    function: str
    instructions: int
    cycles: float
    busy: float


@dataclass(frozen=True)
class HotLoop:
    """One function's loop on one core.

    Attributes
    ----------
    macs : int
        That the function does for one inference.
    rate, peak, allowed : float
        MACs a cycle: reached, of the multiplications on registers alone, and at most with the loop's loads.
    """

    core: str
    network: str
    dtype: str
    function: str
    macs: int
    rate: float
    peak: float
    allowed: float


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
    if kind == "dense":
        nv = tile_shapes.dense_widths(isa)[given["variant"]]
        return f"edgebn_dense_f32_{nv}", (nv * isa.lanes * (given["blocks"] - 1) + given["last_channels"]) * given["depth"]
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


def macs_of(texts: list[str]) -> int:
    return sum(MACS.get(text.split()[0], 0) for text in texts)


def vectors_of(texts: list[str]) -> int:
    """Return how many instructions use a vector register."""
    return sum(bool(re.search(r"\b[qv]\d+\b", text)) for text in texts)


def hot_loop(body: list[tuple[int, str]], weigh: Callable[[list[str]], int] = macs_of) -> list[str]:
    """Return the innermost loop with the most multiplications, or of whatever else; none where there is no loop."""
    places = {address: index for index, (address, _) in enumerate(body)}
    loops = []
    for end, (_, text) in enumerate(body):
        branch = re.match(r"(?:b\.\w+|cbn?z|tbn?z|b)\s.*?0x([0-9a-f]+)\b", text)
        begin = places.get(int(branch[1], 16), end + 1) if branch else end + 1
        if begin <= end:
            loops.append((begin, end))
    inner = [one for one in loops if not any(one != other and one[0] <= other[0] and other[1] <= one[1] for other in loops)]
    return max(([text for _, text in body[begin : end + 1]] for begin, end in inner), key=weigh, default=[])


def useful(function: str, isa: str) -> float:
    """Return the share of a loop's products that is of use: a pixel alone is both of a product of matrices."""
    single = isa == "neoni8mm" and re.match(r"edgebn_tile_i8_1x", function)
    return 0.5 if single else 1.0


def cycles(texts: list[str], model: str) -> float:
    """Return the cycles of one iteration, by llvm-mca."""
    return int(re.search(r"Total Cycles:\s+(\d+)", _analysis(texts, model))[1]) / ITERATIONS


def throughput(texts: list[str], model: str) -> float:
    """Return the cycles that the units of the core are busy with an iteration, whatever waits for what."""
    return float(re.search(r"Block RThroughput:\s+([\d.]+)", _analysis(texts, model))[1]) if texts else 0.0


def allowed(texts: list[str], core: Core, peak: float) -> float:
    """Return the MACs a cycle that a loop's loads allow."""
    macs = macs_of(texts)
    loads = throughput([text for text in texts if text.startswith("ld")], core.model)
    return macs / (loads + macs / peak) if core.in_order else min(peak, macs / max(loads, 1e-9))


def _analysis(texts: list[str], model: str) -> str:
    source = "loop:\n" + "\n".join(re.sub(r"0x[0-9a-f]+ <.*>", "loop", text) for text in texts) + "\n"
    command = [tool("llvm-mca"), "-mtriple=aarch64", f"-mcpu={model}", "-mattr=+dotprod,+i8mm", f"-iterations={ITERATIONS}", "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[0]} does not take a loop: {done.stderr[:400]}")
    return done.stdout


@functools.cache
def peak(isa: str, dtype: str, model: str) -> float:
    """Return the MACs a cycle of the tiles' instructions on registers alone."""
    sums = 16
    texts = [text.format(i, 16 + i % 8) for i in range(sums) for text in REGISTERS_ALONE[isa, dtype]]
    return macs_of(texts) / cycles(texts, model)


def others() -> list[OtherLoop]:
    """Return the loops of every kernel in vectors that is not a tile, on every core."""
    rows = []
    for core, bodies, _ in _compiled():
        for symbol, body in bodies.items():
            name = plain(symbol).removeprefix("edgebn_")
            loop = hot_loop(body, vectors_of)
            if re.match(OTHERS, name) and vectors_of(loop):
                rows.append(OtherLoop(core.name, name, len(loop), cycles(loop, core.model), throughput(loop, core.model)))
    return rows


def _compiled() -> Iterator[tuple[Core, dict[str, list[tuple[int, str]]], dict[str, dict[str, int]]]]:
    """Yield every core with the instructions of its set's functions, and the MACs that networks do in them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for isa in sorted({core.isa for core in CORES}):
            subprocess.run([sys.executable, "-m", "benchmarks.kernels.arm_static", "--worker", isa, name], check=True)
            bodies = instructions(folder / f"{isa}.o")
            used = json.loads((folder / f"{isa}.json").read_text(encoding="utf-8"))
            yield from ((core, bodies, used) for core in CORES if core.isa == isa)


def measure() -> list[HotLoop]:
    """Return the loops of tiles, depthwise and dense layers that the networks run."""
    rows = []
    for core, bodies, used in _compiled():
        for dtype, names in NETWORKS.items():
            for network in names:
                for function, macs in sorted(used[network].items(), key=lambda item: -item[1]):
                    loop, share = hot_loop(bodies[function]), useful(function, core.isa)
                    rate, most = macs_of(loop) / cycles(loop, core.model), peak(core.isa, dtype, core.model)
                    bound = allowed(loop, core, most)
                    rows.append(HotLoop(core.name, network, dtype, function, macs, share * rate, most, share * bound))
    return rows


def report(rows: list[HotLoop]) -> None:
    titles = f"{'MACs':>12}{'MAC/cycle':>11}{'peak':>7}{'share':>8}{'of what loads allow':>22}"
    print(f"{'core':12}{'network':16}{'function':30}{titles}")
    for row in rows:
        shown = f"{row.core:12}{row.network:16}{row.function.removeprefix('edgebn_'):30}{row.macs:12,}"
        of_both = f"{100 * row.rate / row.peak:7.1f} %{100 * row.rate / row.allowed:20.1f} %"
        print(f"{shown}{row.rate:11.2f}{row.peak:7.1f}{of_both}")
    print("\nall of a network's convolutions, by MACs")
    for core, network in dict.fromkeys((row.core, row.network) for row in rows):
        mine = [row for row in rows if (row.core, row.network) == (core, network)]
        share = sum(row.macs for row in mine) / sum(row.macs * row.peak / row.rate for row in mine)
        hottest = max(mine, key=lambda row: row.macs)
        print(f"{core:12}{network:16}{100 * share:7.1f} %   hottest loop {100 * hottest.rate / hottest.peak:7.1f} %")


def report_others(rows: list[OtherLoop]) -> None:
    print(f"{'core':12}{'function':44}{'instructions':>13}{'cycles':>9}{'busy':>8}")
    for row in rows:
        print(f"{row.core:12}{row.function:44}{row.instructions:13}{row.cycles:9.1f}{100 * row.busy / row.cycles:6.0f} %")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--others", action="store_true", help="the kernels that are no tiles instead")
    parser.add_argument("--worker", nargs=2, metavar=("ISA", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker[0], Path(options.worker[1]))
        return
    if not MODELS_AT.exists():
        raise SystemExit(f"the benchmark networks are not at {MODELS_AT}")
    rows = others() if options.others else measure()
    (report_others if options.others else report)(rows)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
