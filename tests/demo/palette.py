#!/usr/bin/env python3
"""Writes a PNG of text again with a palette of 64 colours, which takes a third of the room:

    tests/demo/palette.py FROM TO

As much of PNG (RFC 2083) as a browser's picture of the screen needs: eight bits, RGB or RGBA, not interlaced."""
import struct
import sys
import zlib
from collections import Counter


def chunks(data):
    at = 8
    while at < len(data):
        length, kind = struct.unpack('>I4s', data[at:at + 8])
        yield kind, data[at + 8:at + 8 + length]
        at += 12 + length


def paeth(a, b, c):
    p = a + b - c
    return min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]


def rows(raw, height, stride, step):
    """Takes the filters of all lines back."""
    before = bytearray(stride)
    for y in range(height):
        start = y * (stride + 1)
        kind, line = raw[start], bytearray(raw[start + 1:start + 1 + stride])
        for i in range(stride):
            left = line[i - step] if i >= step else 0
            corner = before[i - step] if i >= step else 0
            up = before[i]
            line[i] = (line[i] + (0, left, up, (left + up) // 2, paeth(left, up, corner))[kind]) & 255
        yield line
        before = line


def main(source, target):
    data = open(source, 'rb').read()
    found = list(chunks(data))
    width, height, depth, colour = struct.unpack('>IIBB', dict(found)[b'IHDR'][:10])
    assert depth == 8 and colour in (2, 6), 'another kind of PNG'
    step = 3 if colour == 2 else 4
    raw = zlib.decompress(b''.join(body for kind, body in found if kind == b'IDAT'))
    pixels = [[bytes(line[i:i + 3]) for i in range(0, width * step, step)] for line in rows(raw, height, width * step, step)]
    coarse = {pixel: tuple(255 if v >= 250 else v // 24 * 24 + 12 for v in pixel) for line in pixels for pixel in line}
    palette = [c for c, _ in Counter(coarse[pixel] for line in pixels for pixel in line).most_common(64)]
    nearest = {p: min(range(len(palette)), key=lambda k: sum((a - b) ** 2 for a, b in zip(palette[k], c))) for p, c in coarse.items()}
    lines = b''.join(b'\0' + bytes(nearest[pixel] for pixel in line) for line in pixels)

    def chunk(kind, body):
        return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))

    with open(target, 'wb') as out:
        out.write(data[:8] + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 3, 0, 0, 0)))
        out.write(chunk(b'PLTE', b''.join(map(bytes, palette))) + chunk(b'IDAT', zlib.compress(lines, 9)) + chunk(b'IEND', b''))


main(*sys.argv[1:])
