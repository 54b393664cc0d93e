# SPDX-License-Identifier: Apache-2.0
"""Reads an animated GIF as the format says (GIF89a), with nothing but Python: frames(bytes) are its pictures as they are shown."""
import struct


def blocks(data, at):
    """The bytes of a chain of sub-blocks, and what follows it."""
    body = bytearray()
    while data[at]:
        body += data[at + 1:at + 1 + data[at]]
        at += data[at] + 1
    return bytes(body), at + 1


def unpacked(least, data):
    """LZW with codes that begin with `least` + 1 bits."""
    clear, end = 1 << least, (1 << least) + 1
    out, table, bits, n, size, before = bytearray(), None, 0, 0, 0, None
    for byte in data:
        bits |= byte << n
        n += 8
        while table is None or n >= size:
            if table is None:
                table, size = [bytes([i]) for i in range(clear)] + [b"", b""], least + 1
                if n < size:
                    break
            code, bits, n = bits & ((1 << size) - 1), bits >> size, n - size
            if code == end:
                return bytes(out)
            if code == clear:
                table, before = None, None
                continue
            entry = table[code] if code < len(table) else before + before[:1]
            if before is not None and len(table) < 4096:
                table.append(before + entry[:1])
                if len(table) == 1 << size and size < 12:
                    size += 1
            out += entry
            before = entry
    return bytes(out)


def colours(data, at, flags):
    n = 2 << (flags & 7) if flags & 0x80 else 0
    return [tuple(data[at + 3 * i:at + 3 * i + 3]) for i in range(n)], at + 3 * n


def frames(data):
    """Width, height, and each frame as a list of (red, green, blue), row by row."""
    if data[:6] != b"GIF89a":
        raise ValueError("no GIF")
    width, height, flags = struct.unpack("<HHB", data[6:11])
    palette, at = colours(data, 13, flags)
    canvas, shown, hidden, dispose = [(0, 0, 0)] * (width * height), [], None, 0
    while data[at] != 0x3B:
        if data[at] == 0x21:
            kind = data[at + 1]
            body, at = blocks(data, at + 2)
            if kind == 0xF9:
                dispose, hidden = body[0] >> 2 & 7, body[3] if body[0] & 1 else None
            continue
        if data[at] != 0x2C:
            raise ValueError(f"a block of kind {data[at]}")
        left, top, w, h, local = struct.unpack("<HHHHB", data[at + 1:at + 10])
        if local & 0x40:
            raise ValueError("an interlaced frame")
        own, at = colours(data, at + 10, local)
        body, after = blocks(data, at + 1)
        pixels, at, whole = unpacked(data[at], body), after, list(canvas)
        if len(pixels) != w * h:
            raise ValueError(f"{len(pixels)} pixels of {w * h}")
        for i, index in enumerate(pixels):
            if index != hidden:
                canvas[(top + i // w) * width + left + i % w] = (own or palette)[index]
        shown.append(list(canvas))
        if dispose == 3:
            canvas = whole
        elif dispose == 2:
            for y in range(top, top + h):
                canvas[y * width + left:y * width + left + w] = [(0, 0, 0)] * w
        hidden, dispose = None, 0
    return width, height, shown
