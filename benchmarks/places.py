"""Where trained models and data lie that the repository does not hold: one folder, with models/, data/ and zoo/ in it.

`--models FOLDER` names it, or the variable EDGEBN_MODELS; docs/benchmarks.md says what is in it and where the files come from.
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VARIABLE = "EDGEBN_MODELS"


def models_folder(given: Path | None = None) -> Path:
    """Return the folder; where nothing names one, a place in the checkout where it may be put."""
    return given or Path(os.environ.get(VARIABLE) or ROOT / "build" / "models")


def missing(what: str) -> str:
    """Return what is said where the folder lacks something."""
    return f"{models_folder() / what} is not there: set {VARIABLE} to a folder with {what}"
