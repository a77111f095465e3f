#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Puts what scripts/gpu_check.sh left in a folder into GPU.md, GPU.json and GPU.logs.

  bench/gpu_report.py FOLDER RESULTS
"""
import json
import pathlib
import re
import shutil
import statistics
import sys

import common

# Which logs go into the report whole; of the others their last lines do.
TABLES = ("autotune", "own_kernels", "http", "cpu_peers", "peers")
TAIL = 12


def gpu_name(folder):
    """What nvidia-smi calls the first GPU: up to the first comma of the step "machine"."""
    log = folder / "machine.log"
    lines = log.read_text().splitlines() if log.exists() else []
    return lines[0].split(",")[0].strip() if lines and "," in lines[0] else "gpu"


def steps(folder):
    keys = ("step", "outcome", "seconds")
    return [dict(zip(keys, line.split("\t"))) for line in
            (folder / "steps.tsv").read_text().splitlines()]


def samples(folder):
    """Median and most of what nvidia-smi said during the check; None for what it cannot read."""
    path = folder / "gpu.csv"
    rows = [line.split(", ") for line in path.read_text().splitlines()] if path.exists() else []
    result = {}
    for column, name in enumerate(("power_w", "memory_mib", "sm_mhz", "celsius")):
        values = [float(r[column]) for r in rows
                  if len(r) == 4 and re.fullmatch(r"[\d.]+", r[column].strip())]
        result[name] = ({"median": statistics.median(values), "most": max(values)} if values else None)
    return result


def numbers(folder, name):
    path = folder / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def report(name, data, folder):
    parts = [f"# {name}", "", common.run_sentence(data["run"]), "",
             "Made by `scripts/gpu_check.sh`; numbers in the JSON beside this.", "", "## Steps", "",
             common.markdown(["step", "outcome", "s"], [list(s.values()) for s in data["steps"]]), ""]
    seen = [[key, *(value.values() if value else ("not readable", ""))]
            for key, value in data["samples"].items()]
    parts += ["## The device meanwhile", "", common.markdown(["", "median", "most"], seen), ""]
    for step in data["steps"]:
        log = folder / f"{step['step']}.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        if step["step"] in TABLES:
            parts += [f"## {step['step']}", "", *lines, ""]
        else:
            parts += [f"## {step['step']}", "", "```", *lines[-TAIL:], "```", ""]
    return "\n".join(parts)


def main():
    folder, results = map(pathlib.Path, sys.argv[1:])
    name = gpu_name(folder)
    stem = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    data = {"gpu": name, "run": common.describe_run(common.Load()), "steps": steps(folder),
            "samples": samples(folder), "networks": numbers(folder, "networks"),
            "own_kernels": numbers(folder, "own_kernels")}
    results.mkdir(parents=True, exist_ok=True)
    (results / f"{stem}.json").write_text(json.dumps(data, indent=1) + "\n")
    (results / f"{stem}.md").write_text(report(name, data, folder))
    logs = results / f"{stem}.logs"
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir()
    for log in folder.glob("*.log"):
        shutil.copy(log, logs)
    print(f"written: {results / stem}.md, .json, .logs")


if __name__ == "__main__":
    main()
