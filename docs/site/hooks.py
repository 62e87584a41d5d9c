"""What the site needs beside the pages: the examples that they link to, which lie in another folder of the repository."""

import posixpath
from pathlib import Path

from mkdocs.structure.files import File

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def on_files(files, config):
    """Add every example as a file of the site."""
    for path in sorted(EXAMPLES.iterdir()):
        if path.is_file():
            files.append(File.generated(config, posixpath.join("examples", path.name), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown, **_):
    """Let links to examples, which are right in the repository, be right in the site."""
    return markdown.replace("](../examples/", "](examples/")
