"""Builds that tests share: one of the same files and flags is a copy, any other is made."""

import boards
from boards import toolchain
from tests.remembered_builds import remembering


def test_only_the_same_build_is_remembered(tmp_path, monkeypatch):
    monkeypatch.setattr(toolchain, "has_compiler", lambda _board: True)
    made = []

    def build(_board, sources, folder, *, include=(), flags=(), optimization="-O2", program="firmware.elf"):
        made.append((tuple(flags), optimization))
        folder.mkdir(parents=True)
        (folder / program).write_text(f"{len(made)} {[path.read_text() for path in sources]} {list(include)}")
        return folder / program

    kept, project = tmp_path / "kept", tmp_path / "project"
    for folder in (kept, project / "kernels"):
        folder.mkdir(parents=True)
    (project / "net.c").write_text("int a;")
    header = project / "kernels" / "net.h"
    header.write_text("int b;")
    built = []

    def again(board="host", **options):
        target = tmp_path / f"build{len(built)}"
        built.append(
            remembering(build, kept)(boards.load(board), [project / "net.c"], target, include=[project / "kernels"], **options)
        )
        assert built[-1].is_relative_to(target)
        return built[-1].read_text()

    assert again() == again()
    assert len(made) == 1
    assert again(flags=["-DX"]) != again(optimization="-O0") != again(board="mps2-an386")
    header.write_text("int c;")
    again()
    (project / "net.c").write_text("int d;")
    again()
    assert len(made) == 6
    assert again(program="other.elf") == again()
    assert (len(made), built[-2].name) == (6, "other.elf")
