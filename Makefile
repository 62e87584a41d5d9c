# Two commands do everything: `make demo` and `make test`. Both set up what they need in .venv, say so, and can be run again.
# `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# As root (containers, CI) system packages are installed directly; otherwise through sudo where it asks for no password.
AS_ROOT := $(shell [ "$$(id -u)" = 0 ] || echo "sudo -n")
# One more than two cores: tests that wait for emulators, brokers and browsers leave theirs to others.
TEST_WORKERS ?= 3

.PHONY: help demo firmware-tools test test-all emulation-tools test-arm64 test-emulated smoke lint fuzz fuzz-link bench docs clean
.DEFAULT_GOAL := help

help:
	@echo "make demo        install edgebn in $(VENV), run the main job on a shipped model"
	@echo "make test        install the test tools too; style, types, every test"
	@echo "make test-all    many more examples of each, and live PyTorch and Keras"
	@echo "make test-arm64  the contract on emulated AArch64, compiled ahead and JIT"
	@echo "make test-emulated  the same on emulated 32-bit ARM and RISC-V, and on Python 3.13"
	@echo "make smoke       a few tests that fail in seconds when something basic broke"
	@echo "make lint        style, types, import contracts, workflows"
	@echo "make fuzz        2,000 damaged files for every reader"
	@echo "make fuzz-link   anything over the serial link, for five minutes (clang)"
	@echo "make bench       time edgebn beside its peers"
	@echo "make docs        the pages and the API as a site, in build/site"
	@echo "make wheels      wheels with kernels compiled ahead of time, in dist"
	@echo "make objects     kernels compiled ahead of time for this checkout"
	@echo "make clean       remove $(VENV) and every cache"

# A stamp beside the environment says which requirements it satisfies; pyproject.toml is where they stand.
$(BIN)/python:
	@echo "== creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "== python3-venv is missing: installing it with the system's package manager"; \
	  $(AS_ROOT) apt-get update -qq && $(AS_ROOT) apt-get install -y -qq python3-venv && $(PYTHON) -m venv $(VENV); }

$(VENV)/.runtime: pyproject.toml | $(BIN)/python
	@echo "== installing edgebn and its readers into $(VENV) (numpy, numba, h5py, onnx, flatbuffers, pillow, rich)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e ".[all]"
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/.runtime
	@echo "== installing the test tools into $(VENV) (pytest, hypothesis, ruff, mypy, and as oracles tflite-micro, LiteRT, onnxruntime, pymicro-features)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e ".[test]"
	@touch $@

# What the tests of firmware, of other processors' objects and of fleets compile, lint and run with: program:package, further
# packages behind a comma. Where they cannot be installed (another system than Debian's), the tests that need them are skipped.
FIRMWARE_TOOLS := gcc:gcc g++:g++ clang:clang cmake:cmake cppcheck:cppcheck clang-tidy:clang-tidy \
  arm-none-eabi-gcc:gcc-arm-none-eabi,libnewlib-arm-none-eabi \
  riscv64-unknown-elf-gcc:gcc-riscv64-unknown-elf,picolibc-riscv64-unknown-elf \
  xtensa-lx106-elf-gcc:gcc-xtensa-lx106,picolibc-xtensa-lx106-elf \
  qemu-system-arm:qemu-system-arm qemu-system-riscv32:qemu-system-misc qemu-system-xtensa:qemu-system-misc \
  ld.lld:lld llvm-mca-19:llvm-19 chromium:chromium,chromium-driver mosquitto:mosquitto

firmware-tools:
	@for tool in $(FIRMWARE_TOOLS); do \
	  PATH=$$PATH:/usr/sbin command -v $${tool%%:*} >/dev/null || missing="$$missing $$(echo $${tool##*:} | tr , ' ')"; \
	done; [ -z "$$missing" ] || { \
	  echo "== installing$$missing with the system's package manager"; \
	  $(AS_ROOT) apt-get update -qq; \
	  for package in $$missing; do $(AS_ROOT) apt-get install -y -qq $$package || \
	    echo "== $$package is not to be had: tests that need it are skipped"; done; }

demo: $(VENV)/.runtime
	@$(BIN)/edgebn demo

lint: $(VENV)/.test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/check-jsonschema -q --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/check-jsonschema -q --builtin-schema vendor.github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	@$(BIN)/check-jsonschema -q --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	@$(BIN)/check-jsonschema -q --builtin-schema vendor.citation-file-format CITATION.cff
	@PATH=$(abspath $(BIN)):$$PATH; if ! command -v actionlint >/dev/null; then \
	  echo "== actionlint is not to be had here: workflows are held to their schema alone"; \
	elif [ -e .git ]; then actionlint; fi  # it looks for a repository's workflows

# The kernels are compiled once for all tests (tests/prebuilt.py), while style and types are looked at.
test: firmware-tools $(VENV)/.test
	@$(BIN)/python -m tests.prebuilt & compiling=$$!; \
	$(MAKE) -s lint && wait $$compiling && $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder

smoke: $(VENV)/.test
	@$(BIN)/python -m pytest -q tests/test_tiny.py

# Live frameworks are gigabytes: they live in a venv of their own and only here. The CPU build of torch is asked for by version.
.venv-frameworks/.ready: pyproject.toml
	@echo "== installing torch and keras into .venv-frameworks for the live comparison"
	@$(PYTHON) -m venv .venv-frameworks
	@.venv-frameworks/bin/python -m pip install -q --disable-pip-version-check torch==2.13.0
	@.venv-frameworks/bin/python -m pip install -q --disable-pip-version-check keras onnxscript -e ".[test]"
	@.venv-frameworks/bin/python -m pip install -q --disable-pip-version-check --no-deps torchvision==0.28.0 timm ultralytics ultralytics-thop && \
	 .venv-frameworks/bin/python -m pip install -q --disable-pip-version-check huggingface_hub opencv-python-headless polars psutil \
	   pyyaml requests scipy || \
	  echo "== torchvision, timm or ultralytics is not to be had: networks of their makers are not tried"
	@.venv-frameworks/bin/python -m pip install -q --disable-pip-version-check librosa || \
	  echo "== librosa is not to be had: its MFCCs are not compared with"
	@.venv-frameworks/bin/python -m pip install -q --disable-pip-version-check tensorflow-cpu || \
	  echo "== TensorFlow (1.3 GB) is not to be had: its converter is not tried"
	@touch $@

# The RP2040 with its clock tree, in JavaScript.
.node/.ready:
	@command -v npm >/dev/null || { echo "== installing nodejs and npm with the system's package manager"; \
	  $(AS_ROOT) apt-get update -qq && $(AS_ROOT) apt-get install -y -qq nodejs npm; } || true
	@mkdir -p .node && npm install --silent --no-audit --no-fund --prefix .node rp2040js@1.4.1 && touch $@ || \
	  echo "== rp2040js is not to be had: no Raspberry Pi Pico is emulated"

# Every test on the JIT, where `make test` has them run on objects.
test-all: FIRMWARE_TOOLS += avr-gcc:gcc-avr,avr-libc simavr:simavr
test-all: firmware-tools lint .venv-frameworks/.ready .node/.ready
	@EDGEBN_TEST_ALL=1 EDGEBN_OBJECTS= $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder
	@EDGEBN_TEST_ALL=1 KERAS_BACKEND=torch .venv-frameworks/bin/python -m pytest tests/frameworks

# The packages of other processors are only unpacked, under build/emulated: see tests/emulated/run.sh.
emulation-tools: $(VENV)/.test
	@for tool in debootstrap:debootstrap qemu-aarch64-static:qemu-user-static ld.lld:lld; do \
	  PATH=$$PATH:/usr/sbin command -v $${tool%%:*} >/dev/null || missing="$$missing $${tool##*:}"; \
	done; [ -z "$$missing" ] || { \
	  echo "== installing$$missing with the system's package manager"; \
	  $(AS_ROOT) apt-get update -qq && $(AS_ROOT) apt-get install -y -qq $$missing; }

test-arm64: emulation-tools
	@PYTHON=$(BIN)/python sh tests/emulated/run.sh arm64
	@PYTHON=$(BIN)/python sh tests/emulated/run.sh arm64 --jit

test-emulated: emulation-tools
	@PYTHON=$(BIN)/python sh tests/emulated/run.sh armhf
	@PYTHON=$(BIN)/python sh tests/emulated/run.sh riscv64
	@PYTHON=$(BIN)/python sh tests/emulated/run.sh amd64

fuzz: $(VENV)/.test
	@$(BIN)/python tests/fuzz_readers.py --mutations 2000

fuzz-link: firmware-tools $(VENV)/.test
	@$(BIN)/python tests/fuzz_link.py --seconds 300

$(VENV)/.bench: pyproject.toml | $(VENV)/.runtime
	@echo "== installing the peers into $(VENV) (LiteRT, onnxruntime, ncnn) and matplotlib"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e ".[bench]"
	@touch $@

$(VENV)/.docs: pyproject.toml | $(VENV)/.runtime
	@echo "== installing what makes the site into $(VENV) (mkdocs, mkdocstrings)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e ".[docs]"
	@touch $@

docs: $(VENV)/.docs
	@$(BIN)/mkdocs build --quiet
	@echo "== build/site/index.html"

# As shipped: with the kernels compiled ahead of time.
bench: $(VENV)/.bench objects
	@$(BIN)/python -m benchmarks.run

.PHONY: wheels objects
wheels: $(BIN)/python
	@command -v lld >/dev/null || { echo "== installing lld, which links for other processors and systems"; $(AS_ROOT) apt-get install -y -qq lld; }
	@for machine in x86_64 aarch64 armv7l armv6l riscv64 arm64; do \
	  $(BIN)/python -m pip wheel -q --disable-pip-version-check --no-deps -w dist --config-settings=machine=$$machine . || exit 1; done
	@ls dist/*.whl

objects: $(VENV)/.runtime
	@$(BIN)/python -m edgebn.kernels.aot

clean:
	rm -rf $(VENV) .venv-frameworks .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache build dist edgebn/kernels/objects *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
