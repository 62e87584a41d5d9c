#!/bin/sh
# Runs the contract suite on an emulated processor (QEMU user mode), with Python, NumPy and pytest of Debian for that processor.
#
#     tests/emulated/run.sh arm64                   the contract tests and those of the doctor, for neon, neondot and neoni8mm,
#                                                 with ahead-of-time objects
#     tests/emulated/run.sh armhf                   32-bit ARM: neon32 and plain, as Debian's ARMv7 runs them; also the object for
#                                                   ARMv6, which says that it is for ARMv7 here: no Debian runs on ARMv6
#     tests/emulated/run.sh riscv64
#     tests/emulated/run.sh amd64                   x86-64 with the Python of Debian trixie, 3.13, whichever this machine has
#     tests/emulated/run.sh arm64 --jit             the contract through the JIT, with Numba's wheels: slow, Numba itself is emulated
#     tests/emulated/run.sh armhf -- tests/doctor/test_doctor.py -k int8      other tests; what follows -- goes to pytest
#     tests/emulated/run.sh arm64 -- tests/emulated/networks.py               random networks that this machine ran before (see there)
#
# Needs debootstrap, qemu-user-static and ld.lld (Debian: apt install debootstrap qemu-user-static lld), and no privileges. SUITE
# names another Debian than trixie. Everything is kept in build/emulated, which git ignores.
set -eu

repository=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-python3}
architecture=${1:-arm64}
[ $# -gt 0 ] && shift
suite=${SUITE:-trixie}
jit=no
[ "${1-}" = --jit ] && { jit=yes; suite=bookworm; shift; }
[ "${1-}" = -- ] && shift
if [ $# = 0 ]; then
    set -- tests/test_contract.py tests/adapt/test_observe.py
    # The doctor's networks need every kernel, compiled by an emulated compiler; calls depend on how Python lays out its objects.
    [ $jit = yes ] || set -- "$@" tests/doctor/test_doctor.py tests/kernels/test_fast_call.py
fi

say() { printf '== %s\n' "$*" >&2; }

# Pairs of machine and instruction set; emulated processors have every feature, so EDGEBN_ISA chooses.
case $architecture in
arm64) emulator="qemu-aarch64-static -cpu max"; sets="aarch64:neoni8mm aarch64:neondot aarch64:neon" ;;
armhf) emulator="qemu-arm-static -cpu cortex-a7"; sets="armv7l:neon32 armv7l:plain armv6l:plain" ;;
riscv64) emulator="qemu-riscv64-static"; sets="riscv64:plain" ;;
amd64) emulator="qemu-x86_64-static -cpu max"; sets="x86_64:avx2" ;;
*) say "$architecture: not one of arm64, armhf, riscv64, amd64"; exit 2 ;;
esac
for tool in "${emulator%% *}:qemu-user-static" ld.lld:lld; do
    command -v "${tool%%:*}" >/dev/null || { say "${tool%%:*} is missing: install the package '${tool#*:}'"; exit 1; }
done
root=$(sh "$repository/tests/emulated/root.sh" "$suite" "$architecture")
place=$(dirname "$root")
found=$repository

if [ $jit = yes ]; then
    [ "$architecture" = arm64 ] || { say "Numba has wheels for arm64 alone"; exit 2; }
    wheels=$place/wheels
    if [ ! -e "$place/.wheels" ]; then
        say "downloading wheels for aarch64"
        mkdir -p "$place/downloads" "$wheels"
        "$python" -m pip download -q --disable-pip-version-check --only-binary=:all: --python-version 3.11 --implementation cp \
            --abi cp311 --abi none --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 \
            --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 --platform any -d "$place/downloads" \
            numpy numba pytest hypothesis >&2
        for wheel in "$place"/downloads/*.whl; do
            "$python" -m zipfile -e "$wheel" "$wheels"
        done
        touch "$place/.wheels"
    fi
    found=$wheels:$repository
fi

emulated() {
    $emulator -L "$root" -E "PYTHONPATH=$found" -E PYTHONDONTWRITEBYTECODE=1 "$root/usr/bin/python3" "$@"
}

cd "$repository"
for pair in $sets; do
    machine=${pair%%:*}
    one=${pair#*:}
    if [ $jit = yes ]; then
        features=+neon
        [ "$one" = neondot ] && features=+neon,+dotprod
        [ "$one" = neoni8mm ] && features=+neon,+dotprod,+i8mm
        say "$one, JIT"
        # LLVM cannot ask an emulated processor for its features.
        EDGEBN_ISA=$one EDGEBN_OBJECTS= NUMBA_CPU_NAME=generic NUMBA_CPU_FEATURES=$features NUMBA_CACHE_DIR=$place/cache \
            emulated -m pytest -q -p no:cacheprovider "$@"
        continue
    fi
    say "$machine, $one, ahead-of-time object"
    objects=$place/objects-$machine
    "$python" -m edgebn.kernels.aot --machine "$machine" --isa "$one" --output "$objects"
    if [ "$machine" = armv6l ]; then
        for built in "$objects"/linux-armv6l-*.so; do
            mv "$built" "$objects/linux-armv7l-${built##*/linux-armv6l-}"
        done
    fi
    EDGEBN_ISA=$one EDGEBN_OBJECTS=$objects emulated -m pytest -q -p no:cacheprovider "$@"
done
