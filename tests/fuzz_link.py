"""Feed the device's end of the link arbitrary lines and requests under sanitizers: `make fuzz-link` for five minutes.

libFuzzer (clang) decides what to try; tests/c/fuzz_link.c is what it tries it on.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.link_device import build

FLAGS = ("-O1", "-g", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all")
LONGEST_INPUT = 4096


def fuzz(folder, *limits):
    """Fuzz within libFuzzer's `limits`; return its exit status and what it printed. A finding is left in `folder`."""
    program = build("fuzz_link", folder, *FLAGS, compiler="clang")
    command = [str(program), f"-max_len={LONGEST_INPUT}", "-print_final_stats=1", f"-artifact_prefix={folder}/", *limits]
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
