"""The C of the product under compilers, cppcheck and clang-tidy: every kernel header alone, board code, and an emitted project."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import boards
import codegen
from boards.toolchain import WARNINGS
from codegen.kernels import LIBRARY
from tests.codegen.test_codegen_kernels import drawn
from tests.programs import single

PARTS = {"edgebn_wide_columns_s8.h"}  # completed by the header that includes it
HEADERS = sorted(path.name for path in LIBRARY.glob("*.h") if path.name not in PARTS)
SOURCES = sorted(LIBRARY.glob("*.c"))
NEWLIB = Path("/usr/lib/arm-none-eabi/include")
# Headers that only one processor can compile, and which.
CORES = {
    "_mve_": ("-mcpu=cortex-m55", "-mfloat-abi=hard"),
    "_dsp_": ("-mcpu=cortex-m4", "-mfloat-abi=soft"),
    "_v6m_": ("-mcpu=cortex-m0", "-mfloat-abi=soft"),
}
CPPCHECK = ["cppcheck", "-q", "--std=c99", "--enable=warning,style,performance,portability", "--error-exitcode=1"]
# System headers are not its business; the arena's union has members that only align it. The others are of cppcheck 2.17: how
# far it looked, arrays that a loop over a kernel's rows fills (it supposes none), and pointers that a result and assembly need.
SUPPRESSED = [
    "--suppress=missingIncludeSystem",
    "--suppress=unusedStructMember",
    "--suppress=normalCheckLevelMaxBranches",
    "--suppress=toomanyconfigs",
    "--suppress=uninitvar:*edgebn_depthwise_s8.h",
    "--suppress=constParameterPointer:*edgebn_link.c",
    "--suppress=constVariablePointer:*edgebn_gemm_v6m_s8.h",
]
# `register int x __asm("r0") = ...` is no C that cppcheck 2.17 reads: without the register's name it is. Those of a processor are
# checked apart, since a definition makes cppcheck leave out other configurations.
NAMED_REGISTERS = ["-D__asm(register)=", "-D__asm__(register)="]
ARMV6M = "-D__ARM_ARCH_6M__=1"
NOT_ARMV6M = ["-U__ARM_ARCH_6M__", "-U__ARM_ARCH_8M_BASE__"]
SECONDS = 300


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (`make firmware-tools` installs it)")


def run(command, folder):
    done = subprocess.run([str(word) for word in command], cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS)
    found = [
        line for line in (done.stdout + done.stderr).splitlines() if not re.match(r"\[\d+/\d+\] |\d+ warnings generated", line)
    ]
    assert done.returncode == 0, "\n".join(found)[-4000:]


def core_of(header):
    return next((core for part, core in CORES.items() if part in header), None)


def outermost(headers):
    """Return those that no other includes: linters look at the others there, and at what they see twice twice."""
    texts = {header: set(re.findall(r'#include "(\w+\.h)"', (LIBRARY / header).read_text())) for header in headers}
    return [header for header in headers if not any(header in included for included in texts.values())]


def has_conditions(header):
    """Whether more than what keeps it from being included twice is conditional in a header."""
    return len(re.findall(r"^\s*#\s*if", (LIBRARY / header).read_text(), re.MULTILINE)) > 1


@pytest.fixture(scope="module")
def units(tmp_path_factory):
    """One C file a header, which includes nothing else."""
    folder = tmp_path_factory.mktemp("units")
    for header in HEADERS:
        (folder / header).with_suffix(".c").write_text(f'#include "{header}"\ntypedef int not_empty;\n')
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A small network with a bit of everything that a listing has."""
    folder = tmp_path_factory.mktemp("project") / "out"
    ((program, _),) = drawn(single("convolution", "int8"), 1)
    codegen.emit(program, folder, board="mps2-an386", name="small")
    return folder


def clang(core):
    """Return clang's arguments for a core; the host without one."""
    target = ["--target=arm-none-eabi", *core, "-mthumb", "-O1", "-isystem", str(NEWLIB)] if core else []
    return ["-std=c99", f"-I{LIBRARY}", *target]


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_every_header_stands_alone(compiler, units):
    need(compiler)
    files = [f"{Path(header).stem}.c" for header in HEADERS if core_of(header) is None]
    run([compiler, "-std=c99", "-fsyntax-only", *WARNINGS, f"-I{LIBRARY}", *files, *SOURCES], units)


@pytest.mark.parametrize("part", CORES)
def test_headers_of_one_processor_stand_alone_there(part, units):
    need("arm-none-eabi-gcc", "clang")
    files = [f"{Path(header).stem}.c" for header in HEADERS if part in header]
    assert files
    gcc = ["arm-none-eabi-gcc", *CORES[part], "-mthumb", "-std=c99", "-fsyntax-only", *WARNINGS, f"-I{LIBRARY}"]
    run([*gcc, *files], units)
    run(["clang", *clang(CORES[part]), "-fsyntax-only", *WARNINGS, *files], units)


@pytest.mark.parametrize("part", ["_dsp_", "_v6m_"])
def test_columns_of_both_kinds_in_one_file(part, tmp_path):
    """A file that holds all headers, as some build systems make one of many, has each once and in any order."""
    need("arm-none-eabi-gcc")
    wide = [f"edgebn_gemm{part}s8.h", "edgebn_gather_s8.h"]
    for number, headers in enumerate((["edgebn_columns_s8.h", *wide], [*wide, "edgebn_columns_s8.h"])):
        (tmp_path / f"{number}.c").write_text("".join(f'#include "{header}"\n' for header in headers) + "typedef int not_empty;\n")
    gcc = ["arm-none-eabi-gcc", *CORES[part], "-mthumb", "-std=c99", "-fsyntax-only", *WARNINGS, f"-I{LIBRARY}"]
    run([*gcc, "0.c", "1.c"], tmp_path)


@pytest.mark.parametrize(
    "flags",
    [
        ("-mcpu=cortex-a7", "-marm"),
        ("-mcpu=cortex-a7", "-mthumb"),
        ("-mcpu=cortex-m4", "-mthumb", "-mbig-endian"),
        ("-mcpu=cortex-m33+nodsp", "-mthumb"),
        ("-mcpu=cortex-m23", "-mthumb"),
        ("-mcpu=cortex-m55+nomve", "-mthumb"),
        ("-mcpu=cortex-m55+nofp", "-mthumb"),
        ("-mcpu=arm7tdmi", "-mthumb"),
    ],
    ids=" ".join,
)
def test_a_network_assembles_for_other_processors(flags, project, tmp_path):
    need("arm-none-eabi-gcc")
    include = ["-I.", "-Ikernels"]
    for level in ("-O0", "-Os", "-O2"):
        command = ["arm-none-eabi-gcc", *flags, level, "-std=c99", *WARNINGS, *include, "-c", "small.c", "-o", tmp_path / "small.o"]
        run(command, project)


def test_cppcheck_finds_nothing_in_the_kernels(units):
    need("cppcheck")
    named = sorted(units.glob("*_v6m_*.c"))
    headers = [header for header in HEADERS if "_v6m_" not in header]
    # Headers with conditions are looked at alone as well: of a file that includes them cppcheck tries a dozen configurations only.
    others = [f"{Path(header).stem}.c" for header in headers if header in outermost(headers) or has_conditions(header)]
    run([*CPPCHECK, *SUPPRESSED, *NOT_ARMV6M, f"-I{LIBRARY}", *others, *SOURCES], units)
    run([*CPPCHECK, *SUPPRESSED, ARMV6M, *NAMED_REGISTERS, f"-I{LIBRARY}", *named, "edgebn_gemm_s8.c"], units)


@pytest.mark.parametrize("core", [None, *CORES.values()], ids=["host", *CORES])
def test_clang_tidy_finds_nothing_in_the_kernels(core, units):
    need("clang-tidy")
    if core and not NEWLIB.is_dir():
        pytest.skip("newlib's headers are not installed (`make firmware-tools` installs them)")
    headers = outermost([header for header in HEADERS if core_of(header) == core])
    files = [f"{Path(header).stem}.c" for header in headers] + (SOURCES if core is None else [])
    run(["clang-tidy", "--quiet", f"--config-file={LIBRARY.parents[1] / '.clang-tidy'}", *files, "--", *clang(core)], units)


def test_both_find_nothing_in_an_emitted_project(project):
    need("cppcheck", "clang-tidy")
    files = ["small.c", "self_test.c"]
    include = ["-I.", "-Ikernels", "-Iboard"]
    run([*CPPCHECK, *SUPPRESSED, *NOT_ARMV6M, *include, *files], project)
    run([*CPPCHECK, *SUPPRESSED, ARMV6M, *NAMED_REGISTERS, *include, *files], project)
    config = f"--config-file={LIBRARY.parents[1] / '.clang-tidy'}"
    run(["clang-tidy", "--quiet", config, *files, "--", "-std=c99", *include], project)


def test_cppcheck_finds_nothing_in_the_boards_code(tmp_path):
    need("cppcheck")
    for name in boards.names():
        if boards.load(name).system is not None:  # whose C is not ours
            continue
        for file, text in boards.load(name).project_files().items():
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / file).write_text(text)
        # The linker script's symbols are one object, whatever their declarations say; and assembly sets what it reads of counters.
        excused = ["--suppress=comparePointers", "--suppress=uninitvar:*ticks_m*.c"]
        files = sorted((tmp_path / name).glob("*.c"))
        named = [file for file in files if file.name.startswith("semihosting_")]
        run([*CPPCHECK, *SUPPRESSED, *excused, "-I.", *(file for file in files if file not in named)], tmp_path / name)
        if named:
            run([*CPPCHECK, *SUPPRESSED, *NAMED_REGISTERS, "-I.", *named], tmp_path / name)


def test_a_fault_is_found(units):
    """The harness itself."""
    need("cppcheck", "clang-tidy")
    (units / "fault.c").write_text("int f(void);\nint f(void) {\n    int a[2] = {0, 0};\n    return a[2];\n}\n")
    with pytest.raises(AssertionError, match="fault"):
        run([*CPPCHECK, *SUPPRESSED, "fault.c"], units)
    with pytest.raises(AssertionError, match="fault"):
        run(["clang-tidy", "--quiet", f"--config-file={LIBRARY.parents[1] / '.clang-tidy'}", "fault.c", "--", "-std=c99"], units)
    (units / "fault.c").unlink()
