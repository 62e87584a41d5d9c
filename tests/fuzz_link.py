"""Feed the device's end of the link arbitrary lines and requests under sanitizers: `make fuzz-link` for five minutes.

libFuzzer (clang) decides what to try; tests/c/fuzz_link.c is what it tries it on.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.link_device import build

FLAGS = ("-O1", "-g", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all")
LONGEST_INPUT = 4096
# To begin with: every request once, in range, without and with state (the first byte, see fuzz_link.c), and a line of noise.
REQUESTS = b"".join(
    bytes([len(payload), kind]) + payload
    for kind, payload in [
        *((1, b""), (2, bytes(4) + b"input"), (3, bytes(8) + b"\2" + bytes(8)), (3, bytes(17)), (3, bytes(17))),
        *((4, bytes(8) + b"\x20\0"), (5, b""), (6, bytes(4) + b"\x20\0"), (7, bytes(4) + b"state"), (8, bytes(4)), (9, b"")),
    ]
)
SEEDS = (b"\1" + REQUESTS, b"\3" + REQUESTS, b"\0\0\5\1\1\7\7\0")


def is_available():
    """Whether clang is here, with libFuzzer and the sanitizers' libraries."""
    if shutil.which("clang") is None:
        return False
    source = (
        "#include <stdint.h>\n#include <stddef.h>\nint LLVMFuzzerTestOneInput(const uint8_t *d, size_t n) { return !d && n; }\n"
    )
    command = ["clang", *FLAGS, "-x", "c", "-", "-o", "/dev/null"]
    return subprocess.run(command, input=source, capture_output=True, text=True, check=False).returncode == 0


def fuzz(folder, *limits):
    """Fuzz within libFuzzer's `limits`; return its exit status and what it printed. A finding is left in `folder`."""
    program = build("fuzz_link", folder, *FLAGS, compiler="clang")
    corpus = Path(folder) / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(SEEDS):
        (corpus / str(number)).write_bytes(seed)
    command = [
        str(program),
        str(corpus),
        f"-max_len={LONGEST_INPUT}",
        "-print_final_stats=1",
        f"-artifact_prefix={folder}/",
        *limits,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=300)
    seconds = parser.parse_args().seconds
    folder = tempfile.mkdtemp(prefix="edgebn-fuzz-")
    status, text = fuzz(folder, f"-max_total_time={seconds}")
    print(text if status else "\n".join(line for line in text.splitlines() if "Done" in line or line.startswith("stat::")))
    print(f"a finding is in {folder}" if status else f"no finding in {seconds} seconds")
    return status


if __name__ == "__main__":
    sys.exit(main())
