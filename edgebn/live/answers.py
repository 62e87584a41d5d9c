"""Answers of a pipeline as plain data for JSON, and as one line for people. Knows no kind of answer but by its fields."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

SHOWN = 3  # answers on a line
MAX_NUMBERS = 64  # of an output that nobody decodes


def plain(answer: Any) -> Any:
    """Return an answer as JSON has it: dataclasses as objects, masks by COCO's runs, arrays as numbers, large ones as ranges."""
    if hasattr(answer, "as_json"):
        return answer.as_json()
    if is_dataclass(answer) and not isinstance(answer, type):
        return {field.name: plain(getattr(answer, field.name)) for field in fields(answer)}
    if isinstance(answer, np.ndarray):
        if answer.size <= MAX_NUMBERS:
            return answer.tolist()
        return {"shape": list(answer.shape), "minimum": float(answer.min()), "maximum": float(answer.max())}
    if isinstance(answer, dict):
        return {str(name): plain(value) for name, value in answer.items()}
    if isinstance(answer, list | tuple):
        return [plain(value) for value in answer]
    return answer.item() if isinstance(answer, np.generic) else answer


def line(answer: Any) -> str:
    """Return the first answers in words."""
    found = plain(answer)
    if isinstance(found, list) and found and isinstance(found[0], dict) and "score" in found[0]:
        shown = ", ".join(f"{one.get('name') or one.get('index')} {one['score']:.2f}" for one in found[:SHOWN])
        return shown + (f", {len(found) - SHOWN} more" if len(found) > SHOWN else "")
    return "nothing" if found == [] else str(found)[:80]
