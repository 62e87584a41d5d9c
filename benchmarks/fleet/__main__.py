"""What a fleet gains, what it withstands, and how it grows: simulated devices, real states, a real broker.

    python -m benchmarks.fleet --json fleet.json

Sections: gain (the first samples of a new device, by shift, without and with a liar), life (devices that arrive, move, fail and
lie, error over time), broker (2,000 devices through one Mosquitto), chaos (as many, while the broker and mergers are killed), junk
(100,000 wrong messages), growth (10 to 10,000 devices: bytes and time; and the arithmetic for a million).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import edgebn
from benchmarks.fleet.broker import chaos, junk, through_broker
from benchmarks.fleet.gain import gain
from benchmarks.fleet.growth import growth
from benchmarks.fleet.life import life
from benchmarks.fleet.parts import MOSQUITTO
from benchmarks.fleet.world import world
from benchmarks.places import VARIABLE, models_folder
from edgebn.fleet.model import FleetModel

SECTIONS = ("gain", "life", "broker", "chaos", "junk", "growth")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, help="the folder with data/ and models/; default $EDGEBN_MODELS")
    parser.add_argument("--section", action="append", choices=SECTIONS, help="again for several; default all")
    parser.add_argument("--repeats", type=int, default=40, help="starts of a new device for each shift")
    parser.add_argument("--devices", type=int, default=2000, help="of broker and chaos")
    parser.add_argument("--messages", type=int, default=100_000, help="of junk")
    parser.add_argument("--rounds", type=int, default=24, help="of life")
    parser.add_argument("--json", type=Path, help="where to write every figure")
    arguments = parser.parse_args()
    folder = models_folder(arguments.models)
    if not (folder / "data").is_dir():
        sys.exit(f"{folder} has no data/; give the folder with --models or {VARIABLE}")
    place, wanted, found = world(folder), arguments.section or SECTIONS, {}
    if MOSQUITTO is None and {"broker", "chaos", "junk"} & set(wanted):
        sys.exit("mosquitto is not installed; install it, or name other sections")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "resnet8.edgebn"
        edgebn.save(place.program, model)
        place.model = FleetModel(edgebn.load(model))
        if "gain" in wanted:
            found["gain"] = gain(place, arguments.repeats)
        if "life" in wanted:
            print("\nsix rooms, ten devices each, one in ten lies; 2 % move and 4 % fail each round of 50 samples")
            found["life"] = life(place, arguments.rounds)
        if "broker" in wanted:
            found["broker"] = through_broker(place, model, folder, arguments.devices)
        if "chaos" in wanted:
            found["chaos"] = chaos(place, model, folder, arguments.devices)
        if "junk" in wanted:
            found["junk"] = junk(place, folder, arguments.messages)
        if "growth" in wanted:
            found["growth"] = growth(place, [10, 100, 1000, 10_000])
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
