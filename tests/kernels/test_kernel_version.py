"""Machine code is kept under a hash of the kernels' sources: every file counts, those of sub-folders too."""

from pathlib import Path

from edgebn.kernels import version


def test_a_nested_file_changes_the_hash(tmp_path: Path, monkeypatch):
    package = tmp_path / "kernels"
    (package / "nested").mkdir(parents=True)
    (package / "version.py").write_text("")
    nested = package / "nested" / "kernel.py"
    seen = set()
    for text in ("one", "two"):
        nested.write_text(text)
        monkeypatch.setattr(version, "__file__", str(package / "version.py"))
        version.sources.cache_clear()
        seen.add(version.sources())
    nested.rename(package / "kernel.py")
    version.sources.cache_clear()
    seen.add(version.sources())
    version.sources.cache_clear()
    assert len(seen) == 3


def test_a_seal_is_believed_as_long_as_its_files_are_there(tmp_path: Path, monkeypatch):
    package = tmp_path / "kernels"
    package.mkdir()
    (package / "version.py").write_text("")
    kernel = package / "kernel.py"
    kernel.write_text("one")
    monkeypatch.setattr(version, "__file__", str(package / "version.py"))

    def said():
        version.sources.cache_clear()
        return version.sources()

    try:
        computed = said()
        version.seal()
        assert said() == computed
        read = (package / version.SEAL).read_text()
        (package / version.SEAL).write_text(read.replace(computed, "0" * 8))
        assert said() == "0" * 8  # the sources were not read
        kernel.write_text("three")
        assert said() not in (computed, "0" * 8)
        kernel.rename(package / "other.py")
        assert said() not in (computed, "0" * 8)
        (package / version.SEAL).write_text("no seal")
        assert len(said()) == 8
    finally:
        version.sources.cache_clear()
