"""Several pictures, folders, films and recordings through one pipeline: `edgebn run MODEL INPUT ...`, and what is drawn of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgebn.cli.prepared import files_of, read_8_bits
from edgebn.cli.screen import Screen
from edgebn.errors import ModelError, UsageError
from edgebn.live import answers, drawing
from edgebn.live.sources import FILMS, SOUNDS, Film, SoundFile
from edgebn.pipeline import Pipeline
from edgebn.preparation.data import Picture
from edgebn.program import Program

SHOWN = 20


def is_media(path: Path) -> bool:
    """Whether only a pipeline can take such a file: a film, or a sound that is no .wav file."""
    return path.suffix.lower() in {*FILMS, *SOUNDS} - {".wav"}


def run_media(
    program: Program, paths: list[Path], draw: Path | None, limit: int | None, threads: Any, screen: Screen, *, adapt: bool = False
) -> dict[str, Any]:
    """Run every file and return the answers of each, for --json.

    Parameters
    ----------
    program : Program
    paths : list of Path
    draw : Path or None
        A folder for annotated copies; made where it is missing.
    limit : int or None
        How many answers of each file at most.
    threads : int
    screen : Screen
    adapt : bool
        Whether the network goes on learning, from file to file.

    Raises
    ------
    ModelError
        The model cannot adapt; or a file is missing, damaged, or of a kind that the model does not take.
    """
    try:
        pipeline = Pipeline(program, threads, adapt=adapt)
    except ModelError as error:
        raise ModelError(f"{paths[0]}: {error}") from None
    if draw is not None and pipeline.hears:
        raise UsageError("--draw does nothing here: the network takes sounds; leave it out")
    if draw is not None and draw.exists() and not draw.is_dir():
        raise ModelError(f"--draw {draw} is a file; give the name of a folder")
    files = [file for path in paths for file in (files_of(path) if path.is_dir() else [path])]
    taken: set[str] = set()
    report = []
    with screen.progress("running") as progress:
        for done, file in enumerate(files, 1):
            pipeline.reset()
            found = list(answered(pipeline, file, _copy_of(file, draw, taken), limit))
            report.append({"file": str(file), "answers": [answers.plain(one) for one in found]})
            if len(report) <= SHOWN:
                _show(file, found, screen)
            progress(done, len(files))
    if len(files) > SHOWN:
        screen.say(f"... and {len(files) - SHOWN} more files; --json has them all")
    if draw is not None:
        screen.say(f"drawn into {draw}")
    learned = pipeline.adapter.report() if pipeline.adapter is not None else None
    if learned is not None:
        screen.say(f"learned from {learned.accepted:,} of {learned.seen:,}; {len(learned.trips)} times back to the factory state")
    return {
        "files": report,
        "drawn": str(draw) if draw else None,
        "adaptation": learned.as_dict() if learned is not None else None,
    }


def answered(pipeline: Pipeline, file: Path, copy: Path | None, limit: int | None = None) -> Iterator[Any]:
    """Yield the answer to a picture, to each frame of a film, or to each piece of a recording that completes an inference."""
    suffix = file.suffix.lower()
    if not file.exists():
        raise ModelError(f"{file}: there is no such file")
    before = pipeline.model.preparation.before if pipeline.model.preparation else None
    if pipeline.hears != (suffix in SOUNDS):
        takes = "sounds" if pipeline.hears else "pictures and films"
        raise ModelError(f"{file}: the network takes {takes}")
    if pipeline.hears:
        pieces = SoundFile(file, pipeline.sample_rate).items(threading.Event())
        yield from _first((one for piece in pieces for one in pipeline(piece)), limit)
    elif suffix in FILMS:
        film = Film(file)
        writer = drawing.FilmWriter(copy, film.rate) if copy else None
        try:
            for pixels in _first(film.items(threading.Event()), limit):
                answer = pipeline(pixels)
                if writer is not None:
                    writer.add(pixels, answer)
                yield answer
        finally:
            if writer is not None:
                writer.close()
    else:
        assert isinstance(before, Picture)
        pixels = read_8_bits(file, before)
        answer = pipeline(pixels)
        if copy is not None:
            drawing.drawn(pixels, answer).save(copy)
        yield answer


def _first(items: Iterator[Any], limit: int | None) -> Iterator[Any]:
    for number, item in enumerate(items):
        if number == limit:
            return
        yield item


def _copy_of(file: Path, folder: Path | None, taken: set[str]) -> Path | None:
    """Return where an annotated copy goes, under another name where two files have the same."""
    if folder is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    suffix = ".mp4" if file.suffix.lower() in FILMS else file.suffix
    name, number = file.stem + suffix, 1
    while name in taken:
        number += 1
        name = f"{file.stem}-{number}{suffix}"
    taken.add(name)
    copy = folder / name
    if copy.exists() and copy.samefile(file):
        raise ModelError(f"--draw {folder} would write over {file}; give another folder")
    return copy


def _show(file: Path, found: list[Any], screen: Screen) -> None:
    words = [answers.line(one) for one in found]
    if len(found) == 1:
        screen.say(f"{file}: {words[0]}")
        return
    changes = [number for number, word in enumerate(words) if number == 0 or word.split(" ")[0] != words[number - 1].split(" ")[0]]
    screen.say(f"{file}: {len(found)} answers" + ("" if found else ": too short"))
    for number in changes[:SHOWN]:
        screen.say(f"  from {number}: {words[number]}")
