#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs clang-tidy over every source file of the build, skipping files that passed unchanged before.

A stamp is named by the SHA-256 of the file's configuration, clang-tidy's version, the compile
command and the preprocessed text, without the project's own path: whatever clang-tidy could see.
"""
import argparse
import concurrent.futures
import hashlib
import json
import pathlib
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def compile_commands(build):
    """Each of our sources once, with its command without ccache and output."""
    seen = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["file"])
        arguments = shlex.split(entry["command"])
        if "nvcc" in arguments[0] or build in path.parents or ROOT not in path.parents:
            continue
        if "ccache" in arguments[0]:
            arguments = arguments[1:]
        output = arguments.index("-o")
        seen.setdefault(path, (entry["directory"], arguments[:output] + arguments[output + 2:]))
    return seen


def configuration(path):
    """The text of every .clang-tidy that applies to a file: the root's, then the folders' below."""
    folders = [folder for folder in reversed(path.parents) if folder.is_relative_to(ROOT)]
    return b"".join(c.read_bytes() for c in (f / ".clang-tidy" for f in folders) if c.exists())


def stamp_name(directory, arguments, common):
    command = [a for a in arguments if a not in ("-c",)] + ["-E", "-P"]
    text = subprocess.run(command, cwd=directory, check=True, capture_output=True).stdout
    seen = common + " ".join(arguments).encode() + b"\0" + text
    return hashlib.sha256(seen.replace(str(ROOT).encode(), b"")).hexdigest()


def check(path, command, build, stamps, version):
    stamp = stamps / stamp_name(*command, configuration(path) + version)
    if stamp.exists():
        stamp.touch()
        return path, True, ""
    result = subprocess.run(["clang-tidy", "--quiet", "-p", str(build), str(path)],
                            capture_output=True, text=True)
    if result.returncode == 0:
        stamp.touch()
    return path, result.returncode == 0, result.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--stamps", type=pathlib.Path, required=True)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("files", nargs="*", type=pathlib.Path, help="only these")
    options = parser.parse_args()
    options.stamps.mkdir(parents=True, exist_ok=True)
    version = subprocess.run(["clang-tidy", "--version"], capture_output=True).stdout
    commands = compile_commands(options.build.resolve())
    wanted = {f.resolve() for f in options.files} or commands.keys()
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        jobs = [pool.submit(check, path, commands[path], options.build, options.stamps, version)
                for path in sorted(commands) if path in wanted]
        for job in concurrent.futures.as_completed(jobs):
            path, passed, output = job.result()
            if not passed:
                failed += 1
                print(f"{path.relative_to(ROOT)}:\n{output}")
    print(f"clang-tidy: {len(jobs)} files, {failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
