"""`edgebn run` on pictures, folders, films and sounds, several at once; and what `--draw` draws of them."""

import json
import sys

import numpy as np
import pytest

import edgebn
from edgebn.cli.main import main
from tests import media

Image = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("media")
    edgebn.save(media.looker(), place / "looker.edgebn")
    edgebn.save(media.looker(boxes=True), place / "boxes.edgebn")
    edgebn.save(media.listener(), place / "listener.edgebn")
    (place / "photos").mkdir()
    for number in range(3):
        Image.fromarray(media.picture(5 * number)).save(place / "photos" / f"{number}.png")
    Image.fromarray(media.picture(7)).save(place / "1.png")
    media.write_wave(place / "tone.wav", media.tone(0.5))
    return place


@pytest.fixture(scope="module")
def film(folder):
    opencv = pytest.importorskip("cv2")
    media.write_film(folder / "film.avi", 12, opencv)
    return folder / "film.avi"


def run_json(capsys, *arguments):
    capsys.readouterr()
    assert main(["run", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refusal(capsys, status, *arguments):
    capsys.readouterr()
    assert main(["run", *map(str, arguments)]) == status
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    return message


def test_pictures_and_folders_at_once(folder, capsys):
    report = run_json(capsys, folder / "looker.edgebn", folder / "photos", folder / "1.png")
    pipeline = edgebn.Pipeline(media.looker())
    wanted = [pipeline(media.picture(number)) for number in (0, 5, 10, 7)]
    assert [one["file"].rsplit("/", 1)[1] for one in report["files"]] == ["0.png", "1.png", "2.png", "1.png"]
    for one, answer in zip(report["files"], wanted, strict=True):
        assert [(found["name"], found["score"]) for found in one["answers"][0]] == [(best.name, best.score) for best in answer]


def test_a_film_frame_by_frame(folder, film, capsys):
    cv2 = pytest.importorskip("cv2")
    report = run_json(capsys, folder / "looker.edgebn", film)
    reader, pipeline = cv2.VideoCapture(str(film)), edgebn.Pipeline(media.looker())
    answers = report["files"][0]["answers"]
    assert len(answers) == 12
    for answer in answers:
        pixels = reader.read()[1][..., ::-1]
        assert answer[0]["name"] == pipeline(np.ascontiguousarray(pixels))[0].name
    assert len({answer[0]["name"] for answer in answers}) > 1
    assert len(run_json(capsys, folder / "looker.edgebn", film, "--limit", "5")["files"][0]["answers"]) == 5


def test_sounds_of_several_kinds(folder, capsys):
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(folder / "tone.flac", media.tone(0.5), 16000)
    report = run_json(capsys, folder / "listener.edgebn", folder / "tone.flac", folder / "tone.wav")
    one, other = (found["answers"] for found in report["files"])
    assert one == other
    assert len(one) == 48
    assert [one[5][0]["name"], one[23][0]["name"]] == ["quiet", "loud"]  # where the tone begins


def test_boxes_are_drawn(folder, film, capsys, tmp_path):
    report = run_json(
        capsys, folder / "boxes.edgebn", folder / "photos", folder / "1.png", film, "--draw", tmp_path / "new" / "out"
    )
    out = tmp_path / "new" / "out"
    assert sorted(path.name for path in out.iterdir()) == ["0.png", "1-2.png", "1.png", "2.png", "film.mp4"]
    drawn, plain = np.asarray(Image.open(out / "1.png")), media.picture(5)
    box = report["files"][1]["answers"][0][0]
    left, bottom = round(box["left"]), round(box["bottom"]) - 1
    assert (drawn[bottom, left + 2] != plain[bottom, left + 2]).any()
    inside = drawn[bottom - 4, left + 4]
    assert (inside == plain[bottom - 4, left + 4]).all()
    import cv2

    reader = cv2.VideoCapture(str(out / "film.mp4"))
    assert sum(1 for _ in iter(lambda: reader.read()[0], False)) == 12


def test_classes_are_drawn_and_the_original_stays(folder, capsys, tmp_path):
    before = (folder / "photos" / "0.png").read_bytes()
    assert main(["run", str(folder / "looker.edgebn"), str(folder / "photos"), "--draw", str(tmp_path)]) == 0
    assert "0.png: left" in capsys.readouterr().out.replace("none", "left")
    assert (np.asarray(Image.open(tmp_path / "0.png")) != media.picture(0)).any()
    assert "would write over" in refusal(capsys, 1, folder / "looker.edgebn", folder / "photos", "--draw", folder / "photos")
    assert (folder / "photos" / "0.png").read_bytes() == before


def test_what_is_refused(folder, capsys, tmp_path, film):
    unprepared = tmp_path / "bare.edgebn"
    from dataclasses import replace

    edgebn.save(replace(media.looker(), preparation=None), unprepared)
    assert "see edgebn.prepare" in refusal(capsys, 1, unprepared, film)
    assert "the network takes sounds" in refusal(capsys, 1, folder / "listener.edgebn", film)
    assert "the network takes pictures" in refusal(capsys, 1, folder / "looker.edgebn", folder / "photos", folder / "tone.wav")
    assert "there is no such file" in refusal(capsys, 1, folder / "looker.edgebn", folder / "1.png", tmp_path / "no.png")
    (tmp_path / "broken.mp4").write_bytes(b"no film")
    assert "damaged or no film" in refusal(capsys, 1, folder / "looker.edgebn", tmp_path / "broken.mp4")
    (tmp_path / "broken.flac").write_bytes(b"no sound")
    pytest.importorskip("soundfile")
    assert "damaged or no sound" in refusal(capsys, 1, folder / "listener.edgebn", tmp_path / "broken.flac")
    media.write_wave(tmp_path / "slow.wav", media.tone(0.1), 8000)
    assert "8000 Hz" in refusal(capsys, 1, folder / "listener.edgebn", tmp_path / "slow.wav", tmp_path / "slow.wav")
    assert "--draw does nothing" in refusal(capsys, 2, folder / "listener.edgebn", folder / "tone.wav", "--draw", tmp_path)
    assert "--output does nothing" in refusal(capsys, 2, folder / "looker.edgebn", film, "-o", tmp_path / "y.npy")


def test_missing_libraries_are_named(folder, capsys, monkeypatch):
    (folder / "any.mp4").write_bytes(b"")
    for module, file, model, extra in (("cv2", "any.mp4", "looker", "video"), ("soundfile", "any.mp3", "listener", "sound")):
        (folder / file).write_bytes(b"")
        monkeypatch.setitem(sys.modules, module, None)
        assert f"pip install 'edgebn[{extra}]'" in refusal(capsys, 1, folder / f"{model}.edgebn", folder / file)
