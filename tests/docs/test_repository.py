"""What the repository says of itself: no path of one machine, and no document that is not there."""

import re
from pathlib import Path

from tests.docs.tracked import tracked

ROOT = Path(__file__).resolve().parents[2]
TEXT = {".py", ".md", ".toml", ".yml", ".cff", ".c", ".h", ".in", ".html", ".js", ".css", ".txt", ".sh", ""}
FOREIGN = {
    "a folder beside the checkout": re.compile(r"\.\./shared|\.\./\.library"),
    "a document that is not here": re.compile(r"\bDESIGN\b(?! of)"),
    "somebody's home": re.compile(r"/(?:home|Users)/(?!pi\b)[a-z]+/|/work/"),
}
SAID = {".ci/run": {"a folder beside the checkout"}, "tests/docs/test_repository.py": set(FOREIGN)}


def text_files() -> list[Path]:
    return [ROOT / name for name in tracked() if Path(name).suffix in TEXT]


def test_nothing_speaks_of_one_machine():
    wrong = []
    for path in text_files():
        name = path.relative_to(ROOT).as_posix()
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="ignore")
        wrong += [f"{name}: {what}" for what, form in FOREIGN.items() if form.search(text) and what not in SAID.get(name, ())]
    assert not wrong


def test_documents_that_are_named_are_there():
    texts = {path: path.read_text(encoding="utf-8") for path in text_files() if path.suffix in {".py", ".toml"} and path.is_file()}
    named = {
        (path.relative_to(ROOT).as_posix(), name) for path in texts for name in re.findall(r"\bdocs/[a-z-]+\.md\b", texts[path])
    }
    named -= {
        (path, "docs/format.md") for path in ("tests/test_remedies.py", "tests/docs/test_repository.py")
    }  # what that test would find
    assert not [(path, name) for path, name in sorted(named) if not (ROOT / name).is_file()]
