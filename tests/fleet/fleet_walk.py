"""Walks docs/fleet.md from nothing to three devices in an empty folder, every command as the page has it, with a clock.

    python -m tests.fleet.fleet_walk FOLDER

In namespaces of its own, so that the system's broker, its configuration and its ports stay as they are: for root on Linux. There
`sudo` does what follows it, `systemctl restart mosquitto` starts the program that the service starts, and `apt-get install` asks
whether it is installed.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECTION = re.compile(r"^## From nothing to three devices\n(.*?)^## ", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OURS = ("/etc/mosquitto", "/var/lib/mosquitto", "/var/log/mosquitto", "/run")
SERVICE = """#!/bin/sh
[ "$*" = "restart mosquitto" ] || exit 1
[ -e /run/broker.pid ] && kill "$(cat /run/broker.pid)"
mosquitto -c /etc/mosquitto/mosquitto.conf & echo $! > /run/broker.pid
sleep 1
kill -0 "$(cat /run/broker.pid)"
"""
INSTALL = """#!/bin/sh
shift && exec dpkg --status "$@" > /dev/null
"""
LONGEST_WAIT = 60.0


def may_walk():
    """Return whether this machine lets one walk."""
    alone = ["unshare", "--mount", "--net", "true"]
    needed = all(map(shutil.which, ("unshare", "ip", "mosquitto_passwd", "dpkg"))) and Path("/etc/mosquitto").is_dir()
    return needed and subprocess.run(alone, capture_output=True, check=False).returncode == 0


def walk(folder):
    """Walk in namespaces of its own; return what was done and what it printed, with seconds."""
    apart = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": path}
    command = [*apart, sys.executable, "-m", "tests.fleet.fleet_walk", "--inside", folder]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def inside(folder):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    system = folder / "system"
    for place in OURS:
        kept = system / place[1:]
        kept.mkdir(parents=True)
        if place == "/etc/mosquitto":
            shutil.copytree(place, kept, dirs_exist_ok=True)
        subprocess.run(["mount", "--bind", kept, place], check=True)
    Path("/run/mosquitto").mkdir()
    for place in ("/run/mosquitto", "/var/lib/mosquitto", "/var/log/mosquitto"):
        shutil.chown(place, "mosquitto")
    tools = system / "tools"
    tools.mkdir()
    for name, text in (("sudo", '#!/bin/sh\nexec "$@"\n'), ("systemctl", SERVICE), ("apt-get", INSTALL)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    os.environ["PATH"] = f"{tools}:{os.environ['PATH']}"
    here = folder / "here"
    here.mkdir()
    for name in ("fashion_mnist.keras", "fashion_mnist_slice.npz"):
        shutil.copy(ROOT / "edgebn" / "demo_data" / name, here)
    os.chdir(here)
    (section,) = SECTION.findall((ROOT / "docs" / "fleet.md").read_text(encoding="utf-8"))
    began, end, servers = time.monotonic(), 0, []
    for match in FENCE.finditer(section):
        language, block = match.groups()
        before, end = section[end : match.start()], match.end()
        take(language, block, before, servers)
        print(f"{time.monotonic() - began:6.1f} s  {language}: {block.strip().splitlines()[0]}", flush=True)
    for one, _ in servers:
        one.send_signal(signal.SIGINT)
        one.wait(LONGEST_WAIT)
    print(f"{time.monotonic() - began:6.1f} s  the end; the page allows 900", flush=True)


def take(language, block, before, servers):
    """Do what one block says."""
    if language == "text":
        Path(re.findall(r"`(/etc/[^`]+)`", before)[-1]).write_text(block)
    elif language == "python":
        named = re.findall(r"`(\w+\.py)`", before)
        if named:
            Path(named[-1]).write_text(block)
        else:
            subprocess.run([sys.executable, "-c", block], check=True)
    elif language == "console":
        for line in block.splitlines():
            subprocess.run(["bash", "-ec", line.removeprefix("$ ")], check=True)
    elif re.search(r"^edgebn fleet (merge|watch)", block):
        for line in block.splitlines():  # each in a terminal of its own
            output = Path(f"server-{len(servers)}.log")
            with output.open("w") as log:
                one = subprocess.Popen(["bash", "-ec", f"exec {line}"], stdout=log, stderr=subprocess.STDOUT)
            servers.append((one, output))
        deadline = time.monotonic() + LONGEST_WAIT
        while "a prior of 3 devices" not in servers[0][1].read_text():
            if time.monotonic() > deadline:
                sys.exit("".join(output.read_text() for _, output in servers) + "no prior came to be")
            time.sleep(0.1)
        print(servers[0][1].read_text(), end="")
    else:
        subprocess.run(["bash", "-ec", block], check=True)


if __name__ == "__main__":
    if sys.argv[1] == "--inside":
        inside(Path(sys.argv[2]))
    else:
        done = walk(Path(sys.argv[1]).resolve())
        print(done.stdout + done.stderr)
        sys.exit(done.returncode)
