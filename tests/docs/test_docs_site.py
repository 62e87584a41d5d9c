"""docs/ as a site: built without a warning, every link and anchor right, nothing loaded from elsewhere, every public name in it."""

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest

import edgebn

pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install 'edgebn[docs]'")
pytest.importorskip("mkdocstrings", reason="mkdocstrings is not installed: pip install 'edgebn[docs]'")

ROOT = Path(__file__).resolve().parents[2]
# What a page may have a browser fetch: the values of these attributes, and of CSS.
FETCHED = re.compile(r"""<(?:script|img|link|iframe|source)\b[^>]*?(?:src|href)=["']?(?:https?:)?//[^>]*>""")
FETCHED_BY_STYLE = re.compile(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//")
CODE = re.compile(r"<(pre|code|script|style)\b.*?</\1>", re.DOTALL)
MARKDOWN = re.compile(r"^\s*(?:- |1\. |\|).*|\*\*.*|\]\(.*|^```.*|^:::.*", re.MULTILINE)


def build(config: Path, target: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "mkdocs", "build", "--config-file", str(config), "--site-dir", str(target)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    target = tmp_path_factory.mktemp("site")
    done = build(ROOT / "mkdocs.yml", target)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return target


def pages(site: Path) -> dict[str, str]:
    found = {path.name: path.read_text(encoding="utf-8") for path in site.glob("*.html")}
    assert len(found) > len(list((ROOT / "docs").glob("*.md")))  # and the page of what is not found
    return found


def test_nothing_is_loaded_from_elsewhere(site):
    assert not {name: FETCHED.findall(text) for name, text in pages(site).items() if FETCHED.search(text)}
    for path in site.rglob("*.css"):
        assert not FETCHED_BY_STYLE.search(path.read_text(encoding="utf-8")), path


def test_no_markdown_is_left(site):
    """As in a list without an empty line before it, which GitHub takes and mkdocs does not."""
    left = {}
    for name, text in pages(site).items():
        plain = html.unescape(re.sub(r"<[^>]+>", "\0", CODE.sub("", text)))
        if found := MARKDOWN.findall(plain):
            left[name] = found
    assert not left


def test_the_api_has_every_public_name(site):
    text = pages(site)["api.html"]
    for name in set(edgebn.__all__) - {"__version__"}:
        assert f'id="{getattr(edgebn, name).__module__}.{name}"' in text, name


@pytest.mark.parametrize("fault", ["[x](nowhere.md)", "[x](index.md#nowhere)", "::: edgebn.api.nowhere"])
def test_a_wrong_page_is_refused(fault, tmp_path):
    """With our settings, on a page of its own: the tests above could not fail otherwise."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(f"# Title\n\n{fault}\n", encoding="utf-8")
    config = tmp_path / "mkdocs.yml"
    config.write_text(f"INHERIT: {ROOT / 'mkdocs.yml'}\ndocs_dir: docs\nhooks: []\nnav: [index.md]\n", encoding="utf-8")
    done = build(config, tmp_path / "site")
    assert done.returncode != 0
    assert "nowhere" in done.stderr
