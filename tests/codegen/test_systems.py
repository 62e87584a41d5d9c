"""`generate --as`: libraries in the layouts of seven build systems, built as those would, run here: the reference's bytes."""

import json
import os
import subprocess

import numpy as np
import pytest

import boards
import codegen
import edgebn
from boards import emulator
from codegen import Pool
from codegen.emit import list_network
from codegen.packages import SYSTEMS
from edgebn import layers as nn
from edgebn.cli.main import main
from edgebn.errors import BoardError, UsageError
from edgebn.graph import GraphBuilder
from edgebn.passes import lower
from tests import emitted
from tests.codegen import system_builds
from tests.codegen.test_emit_names import convolution
from tests.conftest import TEST_ALL

SHOWN = 20


def outputs(program, codes):
    """Return the reference's outputs."""
    name, shape = program.inputs[0], program.buffers[program.inputs[0]].shape
    runs = (edgebn.reference.run_steps(program, {name: one.reshape(shape)}) for one in codes)
    return np.stack([values[program.outputs[0]].reshape(-1) for values in runs])


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_example_answers_as_the_reference(system, tmp_path):
    """The recorded input first, then two that come over the line."""
    network = convolution()
    codegen.emit(network, tmp_path / "one", name="one", system=system)
    program = system_builds.PROGRAMS[system](tmp_path / "one", "answer")
    codes = emitted.draw_codes(network, 2)
    assert system_builds.answers(program, codes) == outputs(network, codes)[:, :SHOWN].tolist()


@pytest.mark.parametrize("system", ["make", *(["platformio", "cmake"] if TEST_ALL else [])])  # the others below
def test_the_link_is_served(system, tmp_path, capsys):
    network = convolution()
    edgebn.save(network, tmp_path / "one.edgebn")
    codegen.emit(network, tmp_path / "one", name="one", system=system)
    program = system_builds.PROGRAMS[system](tmp_path / "one", "link")
    with emulator.start(boards.load("host"), program) as running:
        assert main(["device", "verify", str(tmp_path / "one.edgebn"), "--port", running.url, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["mismatches"], said["layers_compared"]) == (0, True)


BOTH = """#include <stdint.h>
#include <stdio.h>

#include "one.h"
#include "two.h"

int main(void) {
    one_init();
    two_init();
    while (fread(one_input(), 1, ONE_INPUT_BYTES, stdin) == ONE_INPUT_BYTES) {
        int8_t output[TWO_OUTPUT_SIZE];

        two_run(one_input(), output);
        fwrite(output, 1, sizeof output, stdout);
        one_run(one_input(), one_output());
        fwrite(one_output(), 1, ONE_OUTPUT_BYTES, stdout);
    }
    return 0;
}
"""


@pytest.mark.parametrize("system", SYSTEMS)
def test_two_models_in_one_image_answer_as_the_reference(system, tmp_path):
    networks = {"one": convolution("a"), "two": convolution("b", ("v", "w"))}
    folders = []
    for name, network in networks.items():
        folders.append(codegen.emit(network, tmp_path / name, name=name, system=system).folder)
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / "main.c").write_text(BOTH)
    program = system_builds.TOGETHER[system](folders, tmp_path / "both" / "main.c")
    codes = emitted.draw_codes(networks["one"], 3)
    done = subprocess.run([program], input=codes.tobytes(), capture_output=True, check=True, timeout=300)
    expected = np.concatenate([outputs(networks[name], codes) for name in ("two", "one")], axis=1)
    assert done.stdout == expected.astype(np.int8).tobytes()


@pytest.mark.parametrize("system", ["arduino", "zephyr", "esp-idf", *(["make"] if TEST_ALL else [])])
def test_an_adapting_network_learns_and_keeps_what_it_learned(system, adapting_demo, tmp_path, capsys):
    """In Zephyr's and ESP-IDF's own storage, and in the file of the host's; Arduino has none, and says so."""
    edgebn.save(adapting_demo[0], tmp_path / "net.edgebn")
    codegen.emit(adapting_demo[0], tmp_path / "net", name="net", system=system, adapt=True)
    program = system_builds.PROGRAMS[system](tmp_path / "net", "link")
    with emulator.start(boards.load("host"), program) as running:
        assert main(["device", "verify", str(tmp_path / "net.edgebn"), "--port", running.url, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["learns_as_python"] is True
    with emulator.start(boards.load("host"), program) as running:
        state = ["device", "state", str(tmp_path / "net.edgebn"), "--port", running.url, "--keep", "--json"]
        assert main(state) == (1 if system == "arduino" else 0)
    said = capsys.readouterr()
    assert ("no storage" in said.out + said.err) == (system == "arduino")


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_people_fill_in_is_kept(system, tmp_path):
    folder = tmp_path / "one"
    codegen.emit(convolution(), folder, name="one", system=system)
    for file in folder.rglob("board_*.c*"):
        if system not in {"cmake", "make"}:
            file.write_text(file.read_text() + "/* mine */\n")
    kept = codegen.emit(convolution(), folder, name="one", system=system).kept
    assert sorted(kept) == sorted(str(file.relative_to(folder)) for file in folder.rglob("board_*.c*"))


def test_a_float32_network_prints_numbers(tmp_path):
    builder = GraphBuilder("net", "net.file", "keras", False)
    x = builder.add_input("x", (1, 1, 2))
    weight = np.array([[1, 0], [0, -1], [0.5, 0.5]], np.float32).reshape(3, 1, 1, 2)
    program = lower(builder.finish([builder.add(nn.Convolution("dense", (x,), "y", weight))]))
    for system in ("make", "arduino"):
        codegen.emit(program, tmp_path / system, name="net", system=system)
        built = system_builds.PROGRAMS[system](tmp_path / system, "answer")
        sample = np.array([0.25, -3.5], np.float32)
        said = subprocess.run([built], input=sample.tobytes(), capture_output=True, check=False, timeout=300).stdout.decode()
        answer = said.replace("\r", "").splitlines()[-1]
        assert [float(word) for word in answer.split(":")[-1].split()] == pytest.approx([0.25, 3.5, -1.625], abs=0.006)
        assert "best 1:" in answer


def test_the_command_writes_one(tmp_path, capsys):
    edgebn.save(convolution(), tmp_path / "net.edgebn")
    model = str(tmp_path / "net.edgebn")
    assert main(["generate", model, "-o", str(tmp_path / "out"), "--as", "zephyr", "--board", "mps2-an386", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["system"] == "zephyr"
    assert (tmp_path / "out" / "zephyr" / "module.yml").is_file()
    for useless in (["--main", "link"], ["--params-only"]):
        assert main(["generate", model, "-o", str(tmp_path / "out"), "--as", "zephyr", *useless]) == 2
    assert "leave" in capsys.readouterr().err


def test_what_cannot_be_made_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no layout for the system 'mbed'; choose one of arduino, "):
        codegen.emit(convolution(), tmp_path, system="mbed")
    with pytest.raises(UsageError, match="leave main"):
        codegen.emit(convolution(), tmp_path, system="make", main="link")
    with pytest.raises(BoardError, match=r"needs [0-9,]+ bytes more than the board's"):
        codegen.emit(convolution(size=300), tmp_path, "microbit", system="make")
    assert not list(tmp_path.iterdir())


def test_another_prefix_is_everywhere(tmp_path):
    codegen.emit(convolution(), tmp_path / "one", name="one", system="make", prefix="acme")
    program = system_builds.PROGRAMS["make"](tmp_path / "one", "answer")
    done = subprocess.run([program], input=b"", capture_output=True, check=False, timeout=300)
    assert b"as the reference" in done.stdout
    assert not list((tmp_path / "one" / "src").rglob("edgebn_*"))


@pytest.mark.parametrize("system", ["platformio", "arduino"])
def test_platformio_reads_the_manifest(system, tmp_path):
    """With its own package, which takes Arduino's libraries too."""
    parser = pytest.importorskip("platformio.package.manifest.parser", reason="platformio is not installed")
    schema = pytest.importorskip("platformio.package.manifest.schema")
    codegen.emit(convolution(), tmp_path / "one", name="one", system=system)
    given = parser.ManifestParserFactory.new_from_dir(str(tmp_path / "one")).as_dict()
    given.pop("license", None)  # which it would look up in a list that it fetches
    found = schema.ManifestSchema().load_manifest(given)
    assert (found["name"], found["version"]) == ("one", "1.0.0")
    assert {example["base"] for example in found["examples"]} == {"examples/answer", "examples/link"}


@pytest.mark.parametrize(("board", "target"), [("esp32", "esp32"), ("esp32-s3", "esp32s3")])
def test_a_board_of_esp_idfs_brings_its_chip_clock_and_memories(board, target, tmp_path):
    """A part of the arena goes into PSRAM: its section, the settings that it needs, and a refusal where they are missing."""
    network = convolution()
    pools = [Pool("fast", list_network(network).arena.size // 2), Pool("slow")]
    project = codegen.emit(network, tmp_path / "one", board, name="one", system="esp-idf", pools=pools)
    assert [filled.taken > 0 for filled in project.pools] == [True, True]
    settings = (tmp_path / "one" / "examples" / "answer" / "sdkconfig.defaults").read_text().splitlines()
    assert {f'CONFIG_IDF_TARGET="{target}"', "CONFIG_ESP_DEFAULT_CPU_FREQ_MHZ_240=y", "CONFIG_SPIRAM=y"} <= set(settings)
    assert ("CONFIG_SPIRAM_MODE_OCT=y" in settings) == (board == "esp32-s3")
    program = system_builds.PROGRAMS["esp-idf"](tmp_path / "one", "answer")
    said = subprocess.run([program], input=b"", capture_output=True, check=False, timeout=300).stdout.decode()
    assert "one: as the reference" in said
    told = subprocess.run(["objdump", "-t", program], capture_output=True, text=True, check=True).stdout
    places = {line.split()[-1]: line.split()[-3] for line in told.splitlines() if "one_arena_" in line}
    assert places == {"one_arena_fast": ".bss", "one_arena_slow": ".ext_ram.bss"}
    for example in ("answer", "link"):
        (tmp_path / "one" / "examples" / example / "sdkconfig.defaults").write_text("CONFIG_SPIRAM=y\n")
    done = subprocess.run(
        ["cmake", "-S", tmp_path / "one" / "examples" / "link", "-B", tmp_path / "build"],
        env={**os.environ, "STRICT": "", "IDF_PATH": str(system_builds.SYSTEMS / "esp_idf")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "CONFIG_SPIRAM_ALLOW_BSS_SEG_EXTERNAL_MEMORY" in done.stderr


def test_a_board_of_esp_idfs_without_pools_needs_no_psram(tmp_path):
    codegen.emit(convolution(), tmp_path / "one", "esp32", name="one", system="esp-idf")
    settings = (tmp_path / "one" / "examples" / "link" / "sdkconfig.defaults").read_text()
    assert "240=y" in settings
    assert "SPIRAM" not in settings + (tmp_path / "one" / "CMakeLists.txt").read_text()
