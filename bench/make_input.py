#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes noise as a network's input, for face_exec where there is no numpy.

    bench/make_input.py SIDE FILE.npy

float32 of (1, 3, SIDE, SIDE), the same for everybody: pixel values, 0 to 255.
"""
import argparse
import array
import random
import struct
import sys


def header(shape):
    """Format 1.0: the data begin at a multiple of 64 bytes."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("side", type=int)
    parser.add_argument("file")
    args = parser.parse_args()
    if not 1 <= args.side <= 4096:
        parser.error("side: want 1 to 4096")
    pixels = array.array("f", random.Random(1).choices(range(256), k=3 * args.side**2))
    if sys.byteorder != "little":
        pixels.byteswap()
    with open(args.file, "wb") as f:
        f.write(header((1, 3, args.side, args.side)) + pixels.tobytes())


if __name__ == "__main__":
    main()
