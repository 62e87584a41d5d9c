"""The examples run, and say what their files promise."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from examples import adapting_to_light, person_detector, wake_word

ROOT = Path(__file__).resolve().parents[2]


def test_it_adapts_when_the_light_goes(capsys):
    adapting_to_light.main([])
    shares = [float(number) for number in re.findall(r"([\d.]+) %$", capsys.readouterr().out, re.MULTILINE)]
    day, dark, meanwhile, adapted, again = shares
    assert again == day < adapted < meanwhile < dark / 2


def test_persons_are_found(shared_zoo, capsys):
    pytest.importorskip("skimage")
    person_detector.main([str(shared_zoo / "omv_yolov8n_192.tflite")])
    printed = capsys.readouterr().out
    assert "astronaut: 1 person\n" in printed
    assert "coffee: no persons" in printed


def test_a_photo_of_ones_own(shared_zoo, tmp_path, capsys):
    data = pytest.importorskip("skimage.data")
    pytest.importorskip("PIL.Image").fromarray(data.astronaut()).save(tmp_path / "me.png")
    person_detector.main([str(shared_zoo / "omv_yolov8n_192.tflite"), str(tmp_path / "me.png")])
    assert "me.png: 1 person\n" in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed (apt install espeak-ng)")
def test_the_wake_word_is_heard_once(shared_zoo, capsys):
    wake_word.main([str(shared_zoo / "mww_v2_okay_nabu.tflite")])
    printed = capsys.readouterr().out
    assert len(re.findall("heard 'okay nabu'", printed)) == 1
    wake_word.main([str(shared_zoo / "mww_v2_okay_nabu.tflite"), "--words", "old banana"])
    assert "heard 0 times" in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_unit(tmp_path):
    unit = (ROOT / "examples" / "edgebn-live.service").read_text(encoding="utf-8")
    unit = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit, flags=re.MULTILINE)  # that is not on this machine
    (tmp_path / "edgebn-live.service").write_text(unit, encoding="utf-8")
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "edgebn-live.service")]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert "edgebn-live.service" not in checked.stderr, checked.stderr
