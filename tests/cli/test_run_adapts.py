"""`edgebn run --adapt` and `edgebn live --adapt`: answers and state of session, adapter and preparation by hand."""

import json

import numpy as np
import pytest

import edgebn
from edgebn.adapt import Adapter
from edgebn.cli.main import main
from edgebn.preparation.answers import class_answers
from edgebn.preparation.data import Picture
from edgebn.preparation.pictures import pictured
from tests.demo_model import demo_images, demo_int8

Image = pytest.importorskip("PIL.Image")
COUNT = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An adaptable model with preparation, and photos when the light has gone."""
    place = tmp_path_factory.mktemp("adapting")
    images, _ = demo_images()
    model = edgebn.adaptable(demo_int8(), images[:100])
    model = edgebn.prepare(model, image=Picture("grey", scale=(1 / 255,)), labels=[str(one) for one in range(10)])
    edgebn.save(model, place / "model.edgebn")
    (place / "photos").mkdir()
    for number, pixels in enumerate((images[100 : 100 + COUNT, :, :, 0] * 255 * 0.3).astype(np.uint8)):
        Image.fromarray(np.kron(pixels, np.ones((3, 2), np.uint8))).save(place / "photos" / f"{number:03}.png")
    return place


def by_hand(model, pictures):
    """Return the answers, and the adapter, of what preparation makes of each picture."""
    adapter, answers = Adapter(edgebn.Session(model)), []
    for pixels in pictures:
        inputs = pictured(pixels, model.preparation.before, model.buffers[model.inputs[0]])
        answers += class_answers(adapter.run(inputs.reshape(1, *model.shapes[model.inputs[0]])), model)
    return answers, adapter


def told(answers):
    return [[(one.index, one.name, one.score) for one in best] for best in answers]


def read(answers):
    return [[(one["index"], one["name"], one["score"]) for one in best] for best in answers]


def test_run_learns_from_photo_to_photo(folder, capsys):
    model = edgebn.load(folder / "model.edgebn")
    photos = [np.asarray(Image.open(folder / "photos" / f"{number:03}.png")) for number in range(COUNT)]
    wanted, adapter = by_hand(model, photos)
    assert adapter.report().accepted > 0
    assert main(["run", str(folder / "model.edgebn"), str(folder / "photos"), "--adapt", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert read([one["answers"][0] for one in report["files"]]) == told(wanted)
    assert report["adaptation"] == json.loads(json.dumps(adapter.report().as_dict()))
    still = edgebn.Pipeline(model)
    assert told(wanted) != told([still(pixels) for pixels in photos])
    pipeline = edgebn.Pipeline(model, adapt=True)
    assert [pipeline(pixels) for pixels in photos] == wanted
    assert pipeline.adapter.to_bytes() == adapter.to_bytes()


def test_live_learns_from_frame_to_frame(folder, capsys):
    cv2 = pytest.importorskip("cv2")
    film = str(folder / "film.avi")
    writer = cv2.VideoWriter(film, cv2.VideoWriter_fourcc(*"mp4v"), 25.0, (56, 84))
    for number in range(COUNT):
        pixels = np.asarray(Image.open(folder / "photos" / f"{number:03}.png"))
        writer.write(np.repeat(pixels[..., None], 3, axis=2))
    writer.release()
    reader, frames = cv2.VideoCapture(film), []
    while (found := reader.read())[0]:
        frames.append(np.ascontiguousarray(found[1][..., ::-1]))
    wanted, adapter = by_hand(edgebn.load(folder / "model.edgebn"), frames)
    assert len(frames) == COUNT
    assert adapter.report().accepted > 0
    answers = folder / "answers.jsonl"
    model = str(folder / "model.edgebn")
    assert main(["live", model, "--file", film, "--adapt", "--answers", str(answers)]) == 0
    assert read([json.loads(line)["answer"] for line in answers.read_text().splitlines()]) == told(wanted)
    capsys.readouterr()
    assert main(["run", model, film, "--adapt", "--json"]) == 0
    assert read(json.loads(capsys.readouterr().out)["files"][0]["answers"]) == told(wanted)


def test_what_cannot_learn_is_refused(folder, capsys):
    images, _ = demo_images()
    model = edgebn.load(folder / "model.edgebn")
    edgebn.save(edgebn.prepare(demo_int8(), image=model.preparation.before), folder / "still.edgebn")
    assert main(["run", str(folder / "still.edgebn"), str(folder / "photos"), "--adapt"]) == 1
    assert "has no source tables" in capsys.readouterr().err
    np.save(folder / "inputs.npy", images[:2])
    assert main(["run", str(folder / "model.edgebn"), str(folder / "inputs.npy"), "--adapt"]) == 2
    assert "`edgebn adapt` is for arrays" in capsys.readouterr().err
