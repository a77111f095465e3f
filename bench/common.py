# SPDX-License-Identifier: MIT
"""What all benchmarks share: where test data lies, quiet and pinned cores, medians, Markdown, JSON."""
import datetime
import json
import os
import platform
import resource
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUSY_SHARE = 0.05  # of the cores, taken by others: above it a run is marked


def shared_dir():
    """Photos and models for tests and benchmarks: FACE_SHARED, else ../shared of the project."""
    return Path(os.environ.get("FACE_SHARED") or ROOT.parent / "shared")


def percentile(values, share):
    """The value below which `share` of them lie; 0.5 is the (upper) median."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def markdown(headings, rows):
    lines = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def add_core_option(parser):
    parser.add_argument("--cores", type=parse_cores,
                        help="cores to keep everything on, e.g. 0-3 or 0,2; default: all allowed")


def parse_cores(text):
    cores = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        cores.update(range(int(first), int(last or first) + 1))
    return cores


def pin(cores):
    """Keeps this process and all it starts on `cores` (None: as they are); returns their number."""
    if cores:
        os.sched_setaffinity(0, cores)
    return len(os.sched_getaffinity(0))


def cpu_model():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def cpu_flags():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            flags = set(line.split(":", 1)[1].split())
            known = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")
            return [flag for flag in known if flag in flags]
    return []


def commit():
    """The checkout's commit, "-dirty" behind it if files differ; empty outside git."""
    done = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    return done.stdout.strip()


class Load:
    """How busy others kept the machine between start and now; steal time counts as others.

    Children count as ours once they have been waited for.
    """

    def __init__(self):
        self.begin = time.monotonic()
        self.busy, self.own = self.busy_seconds(), self.own_seconds()

    @staticmethod
    def busy_seconds():
        fields = [int(n) for n in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        idle = fields[3] + fields[4]
        return (sum(fields) - idle) / os.sysconf("SC_CLK_TCK")

    @staticmethod
    def own_seconds():
        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    def others(self):
        """Share of the machine's cores, 0 to 1."""
        wall = max(time.monotonic() - self.begin, 1e-3)
        others = (self.busy_seconds() - self.busy) - (self.own_seconds() - self.own)
        return max(0.0, others / wall / (os.cpu_count() or 1))


def describe_run(load):
    """Machine, date, commit and how quiet it was: goes with every result."""
    share = load.others()
    return {"date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
            "cpu": cpu_model(), "cores": len(os.sched_getaffinity(0)), "isa": cpu_flags(),
            "commit": commit(), "others_share": round(share, 3), "loaded": share > BUSY_SHARE}


def run_sentence(run):
    text = (f"{run['cpu']}, {run['cores']} cores ({', '.join(run['isa']) or 'baseline'}), "
            f"{run['date']}, commit {run['commit']}.")
    if run["loaded"]:
        text += (f" **The machine was loaded**: others took {run['others_share']:.0%} of its cores; "
                 "only ratios within this table mean something.")
    return text


def add_json_option(parser):
    parser.add_argument("--json", type=Path, help="also write the results here, for bench/plot.py")


def save(path, kind, settings, rows, run):
    """Writes what bench/plot.py and bench/how_long.py read; nothing if `path` is None."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    text = {"benchmark": kind, "run": run, "settings": settings, "rows": rows}
    path.write_text(json.dumps(text, indent=1, ensure_ascii=False) + "\n")
