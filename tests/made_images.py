"""Image files that tests make: digits as a folder of PNGs, and pictures of any size and mode."""

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def picture(height=4, width=6, seed=0):
    """A picture in colours, a Pillow image."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def save(image, folder, name, **options):
    """Write an image into a folder, and give its path."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def digits_folder(folder, n, *, most=10):
    """The first ``n`` digits below ``most`` of scikit-learn as PNGs, a folder for each class."""
    digits = load_digits()
    chosen = np.flatnonzero(digits.target < most)[:n]
    for row in chosen:
        pixels = np.round(digits.images[row] * 255 / 16).astype(np.uint8)
        save(Image.fromarray(pixels), folder, f"{digits.target[row]}/{row:04}.png")
    return folder


def header_of_png(height, width):
    """A PNG that says it has so many pixels, and holds none."""
    import struct
    import zlib

    def chunk(name, content):
        checked = name + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts
