#!/bin/sh
# Makes a Debian for another processor, with Python, NumPy, pip and pytest of its own, and prints where it is:
#
#     tests/emulated/root.sh trixie armhf          also bookworm; arm64, amd64, riscv64
#
# Needs debootstrap (apt install debootstrap), and no privileges: its packages are downloaded and unpacked, none is installed, so that
# nothing of the foreign system has to run. Everything is kept under build/emulated, which git ignores.
set -eu

repository=$(cd "$(dirname "$0")/../.." && pwd)
suite=$1
architecture=$2
place=$repository/build/emulated/$suite-$architecture
root=$place/root
packages=python3,python3-numpy,python3-pip,python3-pytest,python3-hypothesis

say() { printf '== %s\n' "$*" >&2; }

if [ ! -e "$place/.ready" ]; then
    for tool in debootstrap dpkg; do
        PATH=$PATH:/usr/sbin:/sbin command -v $tool >/dev/null || { say "$tool is missing: install the package '$tool'"; exit 1; }
    done
    mkdir -p "$place"
    if [ ! -d "$place/packages" ]; then
        say "downloading Debian $suite for $architecture (once, about 80 MB)"
        rm -rf "$place/bootstrap"
        # Only the packages are wanted, so nobody has to be root: fakeroot pleases debootstrap's own check.
        PATH=$PATH:/usr/sbin:/sbin ${FAKEROOT-$([ "$(id -u)" = 0 ] || echo fakeroot)} debootstrap --download-only \
            --arch="$architecture" --variant=minbase --include=$packages "$suite" "$place/bootstrap" >&2
        mv "$place/bootstrap/var/cache/apt/archives" "$place/packages"
        rm -rf "$place/bootstrap"
    fi
    say "unpacking"
    rm -rf "$root"
    mkdir -p "$root"
    # The package that makes the links /bin and /lib of today's Debian, where it has one, comes first.
    for package in "$place"/packages/base-files_*.deb "$place"/packages/*.deb; do
        dpkg -x "$package" "$root"
    done
    # What packages that are installed would have linked: NumPy's linear algebra.
    for library in "$root"/usr/lib/*/blas/libblas.so.3 "$root"/usr/lib/*/lapack/liblapack.so.3; do
        folder=$(basename "$(dirname "$library")")
        ln -sf "$folder/$(basename "$library")" "$(dirname "$(dirname "$library")")/"
    done
    mkdir -p "$root/proc" "$root/tmp"
    touch "$place/.ready"
fi
echo "$root"
