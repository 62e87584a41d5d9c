#!/bin/sh
# Installs wheels as a stranger would, on a fresh Debian with Python and NumPy of its own and nothing else: pip installs without an
# index, `pip check` and `edgebn doctor` pass, and the demo network has the bytes that it has here.
#
#     tests/emulated/install.sh FOLDER                         trixie and bookworm, on amd64, arm64 and armhf
#     tests/emulated/install.sh FOLDER trixie-armhf ...        those alone; also trixie-riscv64
#
# FOLDER holds the wheels (`make wheels`: dist). Needs root, for chroot, and what tests/emulated/run.sh needs.
set -eu

repository=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-python3}
wheels=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- trixie-amd64 bookworm-amd64 trixie-arm64 bookworm-arm64 trixie-armhf bookworm-armhf

say() { printf '== %s\n' "$*"; }

answer=$(mktemp -d)
trap 'rm -rf "$answer"' EXIT
cat >"$answer/ask.py" <<'END'
import hashlib, sys, numpy as np, edgebn
program = edgebn.load(sys.argv[1])
x = np.random.default_rng(0).integers(-128, 128, (4, *program.shapes[program.inputs[0]])).astype(np.int8)
print(hashlib.sha256(edgebn.Session(program).run(x).tobytes()).hexdigest())
END
cd "$repository"
PYTHONPATH=$repository "$python" - "$answer/demo.edgebn" <<'END'
import sys, numpy as np, edgebn
from pathlib import Path
data = Path(edgebn.__file__).parent / "demo_data"
images = np.load(data / "fashion_mnist_slice.npz")["calibration"] / np.float32(255)
edgebn.save(edgebn.quantize(edgebn.load(data / "fashion_mnist.keras"), images), sys.argv[1])
END
expected=$(PYTHONPATH=$repository "$python" "$answer/ask.py" "$answer/demo.edgebn")

failed=0
for one in "$@"; do
    suite=${one%-*}
    architecture=${one#*-}
    case $architecture in
    amd64) emulator= processor= machine=x86_64 ;;
    arm64) emulator=qemu-aarch64-static processor=max machine=aarch64 ;;
    armhf) emulator=qemu-arm-static processor=cortex-a7 machine=armv7l ;;
    riscv64) emulator=qemu-riscv64-static processor=rv64 machine=riscv64 ;;
    esac
    kept=$(sh tests/emulated/root.sh "$suite" "$architecture")
    root=$(dirname "$kept")/fresh
    rm -rf "$root"
    cp -a "$kept" "$root"
    # What an installed ca-certificates would have written, and pip reads before anything else.
    cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
    cp "$answer/ask.py" "$answer/demo.edgebn" "$wheels"/edgebn-*_"$machine".whl "$root/tmp/"
    [ -z "$emulator" ] || cp "$(command -v "$emulator")" "$root/tmp/emulator"
    # The system's /proc, for as long as this one command; a Python that starts others by name would need the emulator registered.
    fresh() {
        env -i HOME=/root PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin ${processor:+QEMU_CPU=$processor} unshare --mount sh -c \
            'mount --rbind /proc "$0/proc" && exec chroot "$0" "$@"' "$root" ${emulator:+/tmp/emulator} /usr/bin/python3 "$@"
    }
    say "$one: $(fresh -c 'import sys, numpy, platform; print("Python", sys.version.split()[0], "NumPy", numpy.__version__, platform.machine())')"
    fresh -m pip install -q --no-index --break-system-packages --root-user-action=ignore "/tmp/$(cd "$root/tmp" && ls edgebn-*.whl)"
    if fresh -m pip check && fresh -m edgebn doctor && [ "$(fresh /tmp/ask.py /tmp/demo.edgebn)" = "$expected" ]; then
        say "$one: the demo network's bytes are those of here ($expected)"
    else
        say "$one: FAILED"
        failed=1
    fi
    rm -rf "$root"
done
exit $failed
