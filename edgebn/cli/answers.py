"""Answers that are neither classes nor boxes: made of what a session returned, and drawn as tables."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from edgebn.cli.prepared import files_of, is_prepared, picture_size
from edgebn.cli.screen import Screen
from edgebn.preparation.anomalies import AnomalyAnswer
from edgebn.preparation.data import Anomaly, KeyPoints, Mask, Picture, WakeWord
from edgebn.preparation.decoding import Decoder
from edgebn.preparation.masks import MaskAnswer
from edgebn.preparation.wake_words import WakeAnswer
from edgebn.program import Program

SHOWN = 10


def other_answers(
    program: Program, outputs: dict[str, np.ndarray], inputs: dict[str, np.ndarray] | np.ndarray, arguments: argparse.Namespace
) -> list[Any] | None:
    """Return the answer to each sample; None of models and files without such."""
    kept = program.preparation
    if kept is None or not isinstance(kept.after, Mask | KeyPoints | WakeWord | Anomaly):
        return None
    is_picture = isinstance(kept.before, Picture) and is_prepared(arguments.input, program)
    if isinstance(kept.after, KeyPoints) and not is_picture:
        return None  # points have their place in a picture
    sizes = [picture_size(file) for file in files_of(arguments.input)[: arguments.limit]] if is_picture else []
    array = inputs if isinstance(inputs, np.ndarray) else inputs[program.inputs[0]]
    return Decoder(program).answers(outputs, array, sizes)


def show_answers(found: list[Any], screen: Screen) -> None:
    """Draw the first answers; of wake words those where the word was heard."""
    first = next(iter(found), None)
    if isinstance(first, MaskAnswer):
        rows: list[tuple[Any, ...]] = [
            (sample, mask.names[index] if mask.names else index, f"{share:.1%}")
            for sample, mask in enumerate(found[:SHOWN])
            for index, share in enumerate(mask.shares)
            if share
        ]
        screen.table("shares of the picture", ("sample", "class", "share"), rows)
    elif isinstance(first, WakeAnswer):
        heard = [(place, answer.name, f"{answer.score:.3f}") for place, answer in enumerate(found) if answer.is_heard]
        screen.table(f"heard in {len(found)} inferences", ("inference", "word", "score"), heard)
    elif isinstance(first, AnomalyAnswer):
        rows = [
            (sample, f"{answer.score:.5g}", "yes" if answer.is_anomaly else "no") for sample, answer in enumerate(found[:SHOWN])
        ]
        screen.table("anomalies", ("sample", "score", "anomaly"), rows)
    else:
        rows = [
            (sample, point.name, f"{point.score:.3f}", f"{point.x:.1f}", f"{point.y:.1f}")
            for sample, points in enumerate(found[:SHOWN])
            for point in points
        ]
        screen.table("key points in pixels", ("sample", "point", "score", "x", "y"), rows)
