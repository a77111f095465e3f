#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes JPEG pictures of a size for load tests where no photos are: coloured noise, smoothed so that
a file is as large as a photo's. They show no faces. Needs Pillow and numpy, or says so (exit code 1).

  bench/make_pictures.py FOLDER WIDTH HEIGHT [COUNT]
  bench/make_pictures.py --list            what is missing for it here
"""
import importlib.util
import pathlib
import sys

NEEDED = ("numpy", "PIL")


def missing():
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def make(folder, width, height, count):
    import numpy
    from PIL import Image
    folder.mkdir(parents=True, exist_ok=True)
    generator = numpy.random.default_rng(1)
    for number in range(count):
        coarse = generator.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=numpy.uint8)
        smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        grain = generator.normal(0, 6, (height, width, 1))
        pixels = numpy.clip(numpy.asarray(smooth) + grain, 0, 255).astype(numpy.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.jpg", quality=85)


def main():
    names = missing()
    if names:
        print(f"MISSING: Python's {', '.join(names)}, so no pictures can be generated")
    if sys.argv[1:] == ["--list"]:
        return 0
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    if names:
        return 1
    folder, width, height = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    make(folder, width, height, int(sys.argv[4]) if len(sys.argv) > 4 else 8)
    return 0


if __name__ == "__main__":
    sys.exit(main())
