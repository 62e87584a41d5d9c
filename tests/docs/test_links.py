"""Every link of every page of the repository leads to a file that is tracked, and to a heading that is there."""

import re
from pathlib import Path

import pytest

from tests.docs.tracked import tracked

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """Return what GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def broken(page: Path, text: str, files: set[Path]) -> list[str]:
    """Return the links of a page that lead nowhere; what is elsewhere on the web is not tried."""
    wrong = []
    for target, anchor in LINK.findall(FENCED.sub("", text)):
        place = (page.parent / target).resolve() if target else page
        if target.startswith("https://"):
            continue
        if not any(place == path or place in path.parents for path in files):
            wrong.append(target)
        elif anchor and anchor not in anchors(place.read_text(encoding="utf-8") if target else text):
            wrong.append(f"{target}#{anchor}")
    return wrong


def test_every_link_leads_somewhere():
    files = {ROOT / name for name in tracked()}
    pages = [path for path in files if path.suffix == ".md" and path.is_file()]
    assert {ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", ROOT / "README.md"} < set(pages)
    faults = {path.name: broken(path, path.read_text(encoding="utf-8"), files) for path in pages}
    assert not {name: wrong for name, wrong in faults.items() if wrong}


@pytest.mark.parametrize("link", ["nowhere.md", "docs/index.md#nowhere", "#nowhere", "http://unsafe.example"])
def test_a_broken_link_is_seen(link):
    assert broken(ROOT / "README.md", f"# Here\n\n[x](#here) [y]({link})\n", {ROOT / "docs" / "index.md", ROOT / "README.md"})
