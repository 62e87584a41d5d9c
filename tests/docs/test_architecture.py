"""docs/architecture.md names every room and what it imports, as the code has it."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "architecture.md"
EVERYBODYS = {"errors", "quick_dataclass", "paused_gc", "arguments", "__version__"}
NO_ROOMS = {"__init__", "__main__", *EVERYBODYS}


def room_of(module: str) -> str | None:
    """Return the room of a module's name; None for what is not ours."""
    package, _, rest = module.partition(".")
    if package in {"codegen", "boards"}:
        return package
    return rest.partition(".")[0] or None if package == "edgebn" else None


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return {room for room in map(room_of, found) if room}


def rooms() -> dict[str, set[str]]:
    """Return every room of the code with the rooms that it imports."""
    found: dict[str, set[str]] = {}
    for package in ("edgebn", "codegen", "boards"):
        for path in (ROOT / package).rglob("*.py"):
            room = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
            if room and room not in NO_ROOMS:
                found.setdefault(room, set()).update(imported(path) - EVERYBODYS - {room})
    return found


def described() -> dict[str, set[str]]:
    rows = re.findall(r"^\| `(\w+)` \| .* \| ?(.*) ?\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: {room.strip() for room in given.split(",") if room.strip()} for name, given in rows}


def test_the_page_is_the_code():
    assert described() == rooms()
