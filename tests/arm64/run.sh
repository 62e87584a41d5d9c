#!/bin/sh
# Runs the contract suite on emulated AArch64 (QEMU user mode), with Python, NumPy and Numba for that processor.
#
#     tests/arm64/run.sh                              the contract tests, for neon and neondot, with ahead-of-time objects
#     tests/arm64/run.sh --jit                        the same through the JIT: slow, Numba itself is emulated
#     tests/arm64/run.sh -- tests/test_softmax.py -k int8      other tests; what follows -- goes to pytest
#     tests/arm64/run.sh --prepare                    only make the root file system
#
# Needs debootstrap, qemu-user-static and ld.lld (Debian: apt install debootstrap qemu-user-static lld), and no privileges: nothing of
# the foreign system is installed, its packages are only unpacked. Everything is kept in build/arm64, which git ignores.
set -eu

repository=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-python3}
place=$repository/build/arm64
root=$place/root
wheels=$place/wheels
objects=$place/objects
suite=bookworm
versions="numpy numba pytest hypothesis"
sets=${EDGEBN_ARM64_SETS:-"neondot neon"}

say() { printf '== %s\n' "$*" >&2; }

need() {
    command -v "$1" >/dev/null 2>&1 || PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null 2>&1 || {
        say "$1 is missing: install the package '$2' with the system's package manager"
        exit 1
    }
}

prepare() {
    [ -e "$place/.ready" ] && return
    need debootstrap debootstrap
    need dpkg dpkg
    mkdir -p "$place"
    if [ ! -d "$place/packages" ]; then
        say "downloading Debian $suite for arm64 (once, about 60 MB)"
        rm -rf "$place/bootstrap"
        # Only the packages are wanted, so nobody has to be root: fakeroot pleases debootstrap's own check.
        PATH=$PATH:/usr/sbin:/sbin ${FAKEROOT-$([ "$(id -u)" = 0 ] || echo fakeroot)} debootstrap --download-only --arch=arm64 \
            --variant=minbase --include=python3.11,python3.11-minimal,libpython3.11-stdlib "$suite" "$place/bootstrap" >&2
        mv "$place/bootstrap/var/cache/apt/archives" "$place/packages"
        rm -rf "$place/bootstrap"
    fi
    say "unpacking"
    rm -rf "$root"
    mkdir -p "$root"
    for package in "$place"/packages/*.deb; do
        dpkg -x "$package" "$root"
    done
    say "downloading wheels for aarch64: $versions"
    mkdir -p "$place/downloads" "$wheels"
    "$python" -m pip download -q --disable-pip-version-check --only-binary=:all: --python-version 3.11 --implementation cp --abi cp311 \
        --abi none --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux_2_17_aarch64 \
        --platform manylinux2014_aarch64 --platform any -d "$place/downloads" $versions >&2
    for wheel in "$place"/downloads/*.whl; do
        "$python" -m zipfile -e "$wheel" "$wheels"
    done
    touch "$place/.ready"
}

# The rest runs under the emulator: its processor has every feature, so EDGEBN_ISA chooses between the two sets.
emulated() {
    qemu-aarch64-static -cpu max -L "$root" -E "PYTHONPATH=$wheels:$repository" -E PYTHONDONTWRITEBYTECODE=1 \
        "$root/usr/bin/python3.11" "$@"
}

jit=no
case ${1-} in
--prepare) prepare; exit ;;
--jit) jit=yes; shift ;;
esac
[ "${1-}" = -- ] && shift
[ $# -gt 0 ] || set -- tests/test_contract.py tests/adapt/test_observe.py

need qemu-aarch64-static qemu-user-static
prepare
cd "$repository"
for one in $sets; do
    if [ $jit = yes ]; then
        features=+neon
        [ "$one" = neondot ] && features=+neon,+dotprod
        say "$one, JIT"
        # LLVM cannot ask an emulated processor for its features.
        EDGEBN_ISA=$one EDGEBN_OBJECTS= NUMBA_CPU_NAME=generic NUMBA_CPU_FEATURES=$features NUMBA_CACHE_DIR=$place/cache \
            emulated -m pytest -q -p no:cacheprovider "$@"
    else
        need ld.lld lld
        say "$one, ahead-of-time object"
        "$python" -m edgebn.kernels.aot --machine aarch64 --isa "$one" --output "$objects"
        EDGEBN_ISA=$one EDGEBN_OBJECTS=$objects emulated -m pytest -q -p no:cacheprovider "$@"
    fi
done
