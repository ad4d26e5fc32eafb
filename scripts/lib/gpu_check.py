"""The visible part of scripts/gpu-check.

Exit codes: 0 every family passes or is not supported by the card, 1 some fail, 2 it could not be run.
"""

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# What the worker does: the best load there is. Prints a line when the card is in use.
WORK = """
import sys, time
end = time.time() + float(sys.argv[1])
try:
    import torch
    assert torch.cuda.is_available()
    a = torch.randn(8192, 8192, device="cuda", dtype=torch.float16)
    print("torch", flush=True)
    while time.time() < end:
        a = a @ a
        a = a / a.norm()
    torch.cuda.synchronize()
except Exception as why:
    import ctypes
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
        device, context, memory = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
        assert cuda.cuInit(0) == 0
        assert cuda.cuDeviceGet(ctypes.byref(device), 0) == 0
        assert cuda.cuCtxCreate_v2(ctypes.byref(context), 0, device) == 0
        size = 1 << 30
        assert cuda.cuMemAlloc_v2(ctypes.byref(memory), ctypes.c_size_t(size)) == 0
        print("driver API, no PyTorch:", why, flush=True)
        while time.time() < end:
            cuda.cuMemsetD8_v2(memory, ctypes.c_ubyte(1), ctypes.c_size_t(size))
            cuda.cuCtxSynchronize()
    except Exception as why_not:
        print("no load:", why, "/", why_not, flush=True)
        time.sleep(max(0.0, end - time.time()))
"""

# family -> (nvidia-smi field, factor to our unit, absolute slack, relative slack). The two look at different moments.
COMPARED = {
    "reeve_gpu_utilization_ratio": ("utilization.gpu", 0.01, 0.35, 0),
    "reeve_gpu_memory_total_bytes": ("memory.total", 1 << 20, 2 << 20, 0.01),
    "reeve_gpu_memory_used_bytes": ("memory.used", 1 << 20, 256 << 20, 0.05),
    "reeve_gpu_memory_free_bytes": ("memory.free", 1 << 20, 256 << 20, 0.05),
    "reeve_gpu_power_watts": ("power.draw", 1, 60, 0.35),
    "reeve_gpu_power_limit_watts": ("enforced.power.limit", 1, 1, 0.01),
    "reeve_gpu_temperature_celsius{gpu}": ("temperature.gpu", 1, 6, 0),
    "reeve_gpu_temperature_celsius{memory}": ("temperature.memory", 1, 6, 0),
    "reeve_gpu_clock_hertz{sm}": ("clocks.sm", 1e6, 400e6, 0.3),
    "reeve_gpu_clock_hertz{memory}": ("clocks.mem", 1e6, 100e6, 0.1),
    "reeve_gpu_clock_hertz{video}": ("clocks.video", 1e6, 400e6, 0.3),
    "reeve_gpu_pcie_link_generation": ("pcie.link.gen.current", 1, 0, 0),
    "reeve_gpu_pcie_link_width": ("pcie.link.width.current", 1, 0, 0),
    "reeve_gpu_persistence_mode": ("persistence_mode", None, 0, 0),
    "reeve_gpu_retired_pages{single_bit}": ("retired_pages.single_bit_ecc.count", 1, 0, 0),
    "reeve_gpu_retired_pages{double_bit}": ("retired_pages.double_bit.count", 1, 0, 0),
    "reeve_gpu_ecc_errors_total{corrected,volatile,all}": ("ecc.errors.corrected.volatile.total", 1, 0, 0),
    "reeve_gpu_ecc_errors_total{uncorrected,volatile,all}": ("ecc.errors.uncorrected.volatile.total", 1, 0, 0),
    "reeve_gpu_remapped_rows{correctable}": ("remapped_rows.correctable", 1, 0, 0),
    "reeve_gpu_remapped_rows{uncorrectable}": ("remapped_rows.uncorrectable", 1, 0, 0),
    "reeve_gpu_row_remap_pending": ("remapped_rows.pending", 1, 0, 0),
    "reeve_gpu_row_remap_failure": ("remapped_rows.failure", 1, 0, 0),
}
SAMPLE = re.compile(r"^([a-z_]\w*)(?:\{(.*)\})? (\S+)$", re.I)
PAIR = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Check:
    def __init__(self):
        self.counts = {"PASS": 0, "FAIL": 0, "SKIP": 0}

    def say(self, verdict, what, text=""):
        self.counts[verdict] += 1
        print(f"{verdict}  {what:<58} {text}", flush=True)


def scrape(path):
    """All samples as (name, labels, value)."""
    with socket.socket(socket.AF_UNIX) as way:
        way.settimeout(10)
        way.connect(path)
        way.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        data = b"".join(iter(lambda: way.recv(65536), b""))
    text = data.split(b"\r\n\r\n", 1)[1].decode()
    found = (SAMPLE.match(line.strip()) for line in text.splitlines())
    return [(m[1], dict(PAIR.findall(m[2] or "")), float(m[3])) for m in found if m]


def smi(fields):
    """One dict per card; a field this nvidia-smi does not know is missing."""
    cards = {}
    for field in ["index"] + sorted(set(fields)):
        asked = subprocess.run(["nvidia-smi", f"--query-gpu=uuid,{field}", "--format=csv,noheader,nounits"],
                               capture_output=True, text=True, check=False)
        for line in asked.stdout.splitlines() if asked.returncode == 0 else []:
            uuid, _, value = line.partition(", ")
            cards.setdefault(uuid.strip(), {})[field] = value.strip()
    return cards


def number(text):
    words = {"Enabled": 1.0, "Disabled": 0.0, "Yes": 1.0, "No": 0.0}
    if text in words:
        return words[text]
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def ours(samples, family, uuid):
    name, _, wanted = family.partition("{")
    wanted = [w for w in wanted.rstrip("}").split(",") if w]
    for found, labels, value in samples:
        if found == name and labels.get("uuid") == uuid and all(w in labels.values() for w in wanted):
            return value
    return None


def compare(check, samples, cards):
    for family, (field, factor, slack, share) in COMPARED.items():
        for uuid, card in cards.items():
            what = f"{family} GPU {card.get('index')}"
            theirs, mine = number(card.get(field)), ours(samples, family, uuid)
            if theirs is None and mine is None:
                check.say("SKIP", what, "the card does not support it")
            elif theirs is None:
                check.say("PASS", what, f"{mine:g} (nvidia-smi does not tell)")
            elif mine is None:
                check.say("FAIL", what, f"missing; nvidia-smi: {theirs:g}")
            else:
                theirs *= factor or 1
                good = abs(mine - theirs) <= slack + share * abs(theirs)
                check.say("PASS" if good else "FAIL", what, f"{mine:g}; nvidia-smi: {theirs:g}")


def others(check, samples, catalogue):
    """Families without a counterpart: there, or not supported."""
    compared = {family.partition("{")[0] for family in COMPARED}
    seen = {}
    for name, labels, value in samples:
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        seen.setdefault(name if name in catalogue else base, []).append((labels, value))
    for name in catalogue:
        if name in compared or name.startswith("reeve_worker_"):
            continue
        if name in seen:
            labels, value = seen[name][0]
            check.say("PASS", name, f"{len(seen[name])} series, the first: {value:g} {labels}")
        else:
            check.say("SKIP", name, "no series")


def catalogue():
    """Names of all GPU families, from the table in the code."""
    names = []
    folder = os.path.join(REPO, "daemon/core/src/metrics/families/gpu")
    for file in sorted(os.listdir(folder)):
        with open(os.path.join(folder, file), encoding="utf-8") as text:
            names += re.findall(r'"(reeve_(?:gpu|worker_gpu)_\w+)"', text.read())
    return names


def worker(check, samples, uuid):
    mine = [(n, l, v) for n, l, v in samples if l.get("worker") == "load" and l.get("uuid") == uuid]
    used = [v for n, _, v in mine if n == "reeve_worker_gpu_memory_used_bytes"]
    check.say("PASS" if used and used[0] > 0 else "FAIL", "reeve_worker_gpu_memory_used_bytes", f"{used}")
    count = [v for n, _, v in mine if n == "reeve_worker_gpu_processes"]
    check.say("PASS" if count and count[0] >= 1 else "FAIL", "reeve_worker_gpu_processes", f"{count}")
    share = [v for n, _, v in mine if n == "reeve_worker_gpu_sm_utilization_ratio"]
    check.say("PASS" if share else "SKIP", "reeve_worker_gpu_sm_utilization_ratio", f"{share}")
    shares = sum(v for n, l, v in samples if n == "reeve_worker_gpu_memory_used_bytes" and l.get("uuid") == uuid)
    card = ours(samples, "reeve_gpu_memory_used_bytes", uuid) or 0
    good = abs(shares - card) <= (512 << 20) + 0.05 * card
    check.say("PASS" if good else "FAIL", "workers and the rest add up to the card", f"{shares:g} of {card:g}")


def costs(samples):
    print("\nNVML calls: how often, and how long each took on average")
    totals = {}
    for name, labels, value in samples:
        if name in ("reeve_gpu_call_seconds_sum", "reeve_gpu_call_seconds_count"):
            totals.setdefault(labels["call"], {})[name.rsplit("_", 1)[1]] = value
    for call, total in sorted(totals.items(), key=lambda t: -t[1].get("sum", 0)):
        count = total.get("count", 0)
        if count:
            print(f"  {call:<46} {count:>8.0f} calls {total['sum'] / count * 1e6:>12.1f} µs")
    for name, labels, value in samples:
        if name == "reeve_gpu_collect_duration_seconds":
            print(f"  lane {labels['lane']:<41} {value * 1e3:>26.2f} ms a look")


def wait(what, seconds, holds):
    end = time.time() + seconds
    while time.time() < end:
        try:
            found = holds()
        except (OSError, ValueError, IndexError, subprocess.CalledProcessError, json.JSONDecodeError):
            found = None
        if found:
            return found
        time.sleep(0.5)
    raise SystemExit(f"gpu-check: never: {what}")


def main():
    parse = argparse.ArgumentParser(prog="scripts/gpu-check", description="Compares reeved with nvidia-smi on a real card.")
    parse.add_argument("--keep", action="store_true", help="keep the folder with configuration and logs")
    parse.add_argument("--seconds", type=int, default=75, help="how long the card is under load")
    parse.add_argument("--reeved", default=os.path.join(REPO, "target/release"), help="folder of the built programs")
    asked = parse.parse_args()
    root = tempfile.mkdtemp(prefix="reeve-gpu-")
    etc = os.path.join(root, "etc/reeve")
    os.makedirs(os.path.join(etc, "workers.d"))
    listen = os.path.join(root, "metrics.sock")
    with open(os.path.join(root, "work.py"), "w", encoding="utf-8") as file:
        file.write(WORK)
    with open(os.path.join(etc, "reeve.toml"), "w", encoding="utf-8") as file:
        file.write(f'[metrics]\nlisten = "unix:{listen}"\n[gpu]\ngpm = true\n')
    argv = json.dumps([shutil.which("python3"), os.path.join(root, "work.py"), str(asked.seconds + 60)])
    with open(os.path.join(etc, "workers.d/load.toml"), "w", encoding="utf-8") as file:
        file.write(f"[worker]\nexec = {argv}\n[worker.resources]\ngpus = {{ request = 1 }}\n")
    check = Check()
    log = open(os.path.join(root, "reeved.log"), "w", encoding="utf-8")
    reeved = subprocess.Popen([os.path.join(asked.reeved, "reeved"), "--root", root, "--launcher", "direct"],
                              stdout=log, stderr=log)

    def ctl(*words):
        done = subprocess.run([os.path.join(asked.reeved, "reevectl"), "--root", root, *words],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise ValueError(done.stderr)
        return done.stdout

    try:
        gpus = wait("a first look at the cards", 60, lambda: json.loads(ctl("gpu", "list", "--json")).get("gpus"))
        print(ctl("gpu", "list"))
        held = wait("a card for the worker", 60, lambda: [
            g["uuid"] for g in json.loads(ctl("gpu", "list", "--json"))["gpus"] if "load/1" in g["workers"]])
        print(f"the worker runs on {held[0]}; {asked.seconds} s under load")
        time.sleep(asked.seconds)
        samples = scrape(listen)
        cards = smi([field for field, *_ in COMPARED.values()])
        cards = {uuid: card for uuid, card in cards.items() if uuid in {g["uuid"] for g in gpus}}
        compare(check, samples, cards)
        others(check, samples, catalogue())
        worker(check, samples, held[0])
        costs(samples)
        print()
        began = time.time()
        ctl("gpu", "release", "--reason", "gpu-check")
        check.say("PASS", "gpu release", f"{time.time() - began:.2f} s")
        users = subprocess.run(["fuser", "/dev/nvidiactl"], capture_output=True, text=True, check=False).stdout
        free = str(reeved.pid) not in users.split()
        check.say("PASS" if free else "FAIL", "reeved holds no device file after the release", users.strip())
        gone = not [1 for name, _, _ in scrape(listen) if name == "reeve_gpu_power_watts"]
        check.say("PASS" if gone else "FAIL", "series are withdrawn")
        began = time.time()
        ctl("gpu", "acquire")
        check.say("PASS", "gpu acquire", f"{time.time() - began:.2f} s")
        ctl("stop", "load")
    finally:
        reeved.terminate()
        try:
            reeved.wait(90)
        except subprocess.TimeoutExpired:
            reeved.kill()
        log.close()
    print(f"\n{check.counts['PASS']} passed, {check.counts['FAIL']} failed, {check.counts['SKIP']} not supported")
    if asked.keep:
        print(f"kept: {root}")
    else:
        shutil.rmtree(root, ignore_errors=True)
    return 1 if check.counts["FAIL"] else 0


if __name__ == "__main__":
    sys.exit(main())
