"""A module of Zephyr's: zephyr/module.yml, CMakeLists.txt, Kconfig, and samples; what is learned is kept in its NVS."""

from __future__ import annotations

from codegen.packages import board_header, examples
from codegen.packages.board_header import below
from codegen.packages.library import Library, lines
from codegen.templating import fill

STORAGE = ("CONFIG_FLASH=y", "CONFIG_FLASH_MAP=y", "CONFIG_FLASH_PAGE_LAYOUT=y", "CONFIG_NVS=y", "CONFIG_MPU_ALLOW_FLASH_WRITE=y")

TRACED = "zephyr_compile_definitions(EDGEBN_TRACE) # what every layer makes can be asked for\n"


def files(library: Library) -> dict[str, str]:
    """Return what the layout has besides src/, path to text."""
    name, option = library.name, f"{library.name.upper()}_NETWORK"
    kconfig = f'config {option}\n\tbool "Network {name}"\n' + ("\timply FPU if CPU_HAS_FPU\n" if library.floats else "")
    kconfig += f"\thelp\n\t  {library.summary}, made by edgebn: {library.listing.arena.size} bytes of RAM.\n"
    cmake = fill("packages/zephyr.cmake.in", name=name, option=f"CONFIG_{option}", sources=lines(library.sources, 4))
    module = f"name: {name}\nbuild:\n  cmake: .\n  kconfig: Kconfig\nsamples:\n  - samples\n"
    use = (
        f"Add the folder to your west manifest, or to `ZEPHYR_EXTRA_MODULES`, and set `CONFIG_{option}=y`. "
        "A sample: `west build -b BOARD samples/answer`."
    )
    storage = STORAGE if library.listing.adaptation else ()
    return {
        "zephyr/module.yml": module,
        "CMakeLists.txt": cmake,
        "Kconfig": kconfig,
        "README.md": library.readme("a Zephyr module", use),
        **_sample(library, "answer", option, examples.answer(library), ()),
        **_sample(library, "link", option, examples.link(library), storage),
    }


def _sample(library: Library, example: str, option: str, sources: dict[str, str], settings: tuple[str, ...]) -> dict[str, str]:
    name = library.name
    board = board_header.files(
        "Zephyr", "board_zephyr.c", "CONFIG_BOARD", "((uint32_t)sys_clock_hw_cycles_per_sec())", "#include <zephyr/kernel.h>\n"
    )
    settings = (f"CONFIG_{option}=y", "CONFIG_SERIAL=y", "CONFIG_CONSOLE=n", "CONFIG_BOOT_BANNER=n", *settings)
    test = (
        f"sample:\n  name: {name} {example}\n  description: {library.summary}\n"
        f"tests:\n  sample.{name}.{example}:\n    tags: edgebn\n    integration_platforms:\n      - qemu_cortex_m3\n"
    )
    said = "as the reference"
    if said in sources.get("answer.c", ""):
        test += f'    harness: console\n    harness_config:\n      type: one_line\n      regex:\n        - "{name}: {said}"\n'
    else:
        test += "    build_only: true\n"
    made = {
        "CMakeLists.txt": fill(
            "packages/zephyr_sample.cmake.in", name=name, example=example, traced=TRACED if example == "link" else ""
        ),
        "prj.conf": "\n".join(settings) + "\n",
        "sample.yaml": test,
        **below("src", {**sources, **board}),
    }
    return below(f"samples/{example}", made)
