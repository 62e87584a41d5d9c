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
