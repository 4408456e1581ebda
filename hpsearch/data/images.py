"""Image files: read with Pillow, turned upright, resized, and kept as bytes.

Owns what becomes of a file's pixels: its orientation, its mode (grey or colours, transparency, 16
bits), its size; and the refusal of what cannot be read. Which files there are belongs to
``image_folders`` and ``image_columns``.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from os import cpu_count
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.memory import check_fits
from hpsearch.data.names import listed
from hpsearch.errors import DataError, InputError
from hpsearch.paths import opened, shown
from hpsearch.progress import followed
from hpsearch.words import error_line

if TYPE_CHECKING:
    from PIL import Image

ENDINGS: Final = (
    *(".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm"),
    *(".tif", ".tiff", ".webp"),
)
"""By which files of a folder are taken for images."""

_FORMATS: Final = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What Pillow may open; others, such as EPS, have it run programs."""

_GREY: Final = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N")
_DEEP: Final = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_MOST_DEEP: Final = 2**16 - 1
_DARK: Final = 2**14
"""16-bit images that stay below use a quarter of the 256 steps that they become."""

_AT_ONCE, _MOST_THREADS = 64, 16
_MOST_NAMED: Final = 3
_FORM: Final = re.compile(r"(grey|RGB), (of|resized to) (\d+) x (\d+)")


@dataclass(frozen=True)
class ImageForm:
    """How the image files of a column become arrays; it stands in the schema, as text.

    Attributes
    ----------
    n_channels : 1 for grey images, 3 for colours (RGB).
    height, width : in pixels.
    resizes : whether images of another size are brought to it, or refused.

    Examples
    --------
    >>> ImageForm(3, 64, 96, resizes=True).text
    'RGB, resized to 64 x 96'
    >>> ImageForm.of("grey, of 8 x 8").shape
    (8, 8, 1)
    """

    n_channels: int
    height: int
    width: int
    resizes: bool

    @classmethod
    def of(cls, text: str) -> ImageForm:
        """The inverse of ``text``."""
        found = _FORM.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no form of image files")
        mode, how, height, width = found.groups()
        return cls(1 if mode == "grey" else 3, int(height), int(width), how == "resized to")

    @property
    def text(self) -> str:
        """The form, height before width, for people and for ``model.json``."""
        how = "resized to" if self.resizes else "of"
        return f"{'grey' if self.n_channels == 1 else 'RGB'}, {how} {self.height} x {self.width}"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image's array."""
        return self.height, self.width, self.n_channels


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Files that were read.

    Attributes
    ----------
    pixels : uint8 (n_files, height, width, channels).
    form : how they were read.
    notes, warnings : what was handled and what is doubtful, a sentence each.
    """

    pixels: NDArray[np.uint8]
    form: ImageForm
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def read_images(
    names: Sequence[str],
    folder: Path,
    *,
    size: tuple[int, int] | None = None,
    form: ImageForm | None = None,
) -> ImageFiles:
    """Read image files that lie within a folder.

    All are grey, or else all become RGB. What is transparent is laid on white, 16 bits become 8 by
    their upper half, and a photo is turned as its EXIF data say.

    Parameters
    ----------
    names : the files' paths within the folder.
    size : height and width that images are resized to; None where all have one size.
    form : how they are read, where that is known: of new rows.

    Raises
    ------
    DataError
        A file is missing, is not within the folder, or is no whole image; or the images differ in
        size and ``size`` is None.
    """
    reader = _Reader(len(names), folder, size, form)
    with warnings.catch_warnings():
        _make_bombs_errors()
        for name, decoded in followed(_decoded(names, folder, size, form), "images", len(names)):
            reader.take(name, decoded)
    return reader.result()


# -- one file


@dataclass(frozen=True, eq=False)
class _Decoded:
    """One image's pixels (height, width, 1 or 3), and what was handled."""

    pixels: NDArray[np.uint8]
    handled: tuple[str, ...] = ()
    deepest: int | None = None


class _NoImageError(Exception):
    """Why a file is no image that can be read."""


def _decoded(
    names: Sequence[str], folder: Path, size: tuple[int, int] | None, form: ImageForm | None
) -> Iterator[tuple[str, _Decoded | _NoImageError]]:
    """Each file's image, or what is wrong with it; a few at a time, each by a thread."""
    root = folder.resolve()
    if form is not None:
        size = (form.height, form.width) if form.resizes else None

    def read(name: str) -> _Decoded | _NoImageError:
        try:
            return _image(_within(name, root), size, None if form is None else form.n_channels)
        except _NoImageError as error:
            return error

    with ThreadPoolExecutor(min(_MOST_THREADS, cpu_count() or 1)) as threads:
        for first in range(0, len(names), _AT_ONCE):
            several = names[first : first + _AT_ONCE]
            yield from zip(several, threads.map(read, several), strict=True)


def _within(name: str, root: Path) -> Path:
    """The file of a path within a folder."""
    plain = PurePosixPath(str(name).strip().replace("\\", "/"))
    leaves = plain.is_absolute() or ".." in plain.parts or plain.parts[:1] == ("~",)
    if leaves or re.match(r"[A-Za-z]:", str(plain)) or "\0" in str(plain):
        raise _NoImageError("its path leads out of the folder")
    try:
        path = (root / plain).resolve()
        is_file = path.is_file()
    except (OSError, RuntimeError) as error:  # RuntimeError: a circle of links
        raise _NoImageError("its path cannot be followed") from error
    if not path.is_relative_to(root):
        raise _NoImageError("its path leads out of the folder")
    if not is_file:
        raise _NoImageError("there is no such file")
    return path


def _image(path: Path, size: tuple[int, int] | None, n_channels: int | None) -> _Decoded:
    from PIL import Image, ImageOps

    try:
        with opened(path, DataError) as file, Image.open(file, formats=_FORMATS) as image:
            if size is not None:  # a JPEG of many pixels need not be decoded to all of them
                image.draft(None, (2 * max(size), 2 * max(size)))
            is_animated = bool(getattr(image, "is_animated", False)) and image.format != "MPO"
            ImageOps.exif_transpose(image, in_place=True)
            found = _plain(image, n_channels)
            handled = (*found.handled, "frames") if is_animated else found.handled
            return _Decoded(_resized(found.pixels, size), handled, found.deepest)
    except _NoImageError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise _NoImageError(
            f"it has more than the {Image.MAX_IMAGE_PIXELS or 0:,} pixels that are read, lest a "
            "small file fill the memory"
        ) from error
    except InputError as error:
        raise _NoImageError(str(error).partition(". ")[0]) from error
    except Exception as error:  # struct, zlib, OSError, SyntaxError, EOFError, MemoryError ...
        raise _NoImageError(_reason(error)) from error


def _reason(error: Exception) -> str:
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "it is no image, or of a kind that is not read"
    said = error_line(error)
    return "it is truncated" if "truncated" in said.lower() else said


def _resized(pixels: NDArray[np.uint8], size: tuple[int, int] | None) -> NDArray[np.uint8]:
    from PIL import Image

    if size is None or pixels.shape[:2] == size:
        return pixels
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[-1] == 1 else pixels)
    height, width = size
    return _with_channels(np.asarray(image.resize((width, height), Image.Resampling.BILINEAR)))


def _with_channels(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    return pixels if pixels.ndim == 3 else pixels[:, :, np.newaxis]


def _plain(image: Image.Image, n_channels: int | None) -> _Decoded:
    """An image's bytes, grey or RGB, whatever its mode."""
    handled: list[str] = []
    deepest = None
    grey = image.mode in _GREY
    if image.mode == "F":
        raise _NoImageError("its pixels are floating-point numbers; write them with 8 or 16 bits")
    if image.mode in _DEEP:
        image, deepest = _upper_half(image)
        handled.append("deep")
    elif image.has_transparency_data:
        image, is_opaque = _on_white(image)
        handled += [] if is_opaque else ["transparent"]
    elif image.mode == "CMYK":
        handled.append("printed")
    if n_channels == 1 and not grey:
        handled.append("colours")
    wanted = "L" if (grey if n_channels is None else n_channels == 1) else "RGB"
    if image.mode != wanted:
        image = image.convert("RGB").convert(wanted)
    return _Decoded(_with_channels(np.asarray(image)), tuple(handled), deepest)


def _upper_half(image: Image.Image) -> tuple[Image.Image, int]:
    """The upper 8 bits of 16, and the largest number of 16 bits."""
    from PIL import Image

    values = np.asarray(image).astype(np.int64)
    deepest = int(values.max(initial=0))
    if values.min(initial=0) < 0 or deepest > _MOST_DEEP:
        raise _NoImageError(
            "it has pixels of 32 bits, outside of 0 to 65,535; write them with 8 or 16"
        )
    return Image.fromarray((values >> 8).astype(np.uint8)), deepest


def _on_white(image: Image.Image) -> tuple[Image.Image, bool]:
    """An image on a white ground, and whether none of that shines through."""
    from PIL import Image

    coloured = image.convert("RGBA")
    is_opaque = np.asarray(coloured)[..., 3].min(initial=255) == 255
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, coloured), bool(is_opaque)


def _make_bombs_errors() -> None:
    """Let what Pillow warns of pass, but for images so large that they may be an attack."""
    from PIL import Image

    warnings.simplefilter("ignore")
    warnings.simplefilter("error", Image.DecompressionBombWarning)


# -- all of them

_SAID: Final = {
    "transparent": "is transparent in places, which became white",
    "deep": "has 16 bits a pixel, of which the upper 8 are kept",
    "printed": "has the colours of print (CMYK), which became RGB",
    "frames": "has several frames, of which the first is taken",
    "colours": "has colours, which became grey, as the model was trained on grey images",
}


@dataclass
class _Reader:
    """Puts images into one array as they come, and keeps account of those that don't fit."""

    n: int
    folder: Path
    size: tuple[int, int] | None
    known: ImageForm | None
    pixels: NDArray[np.uint8] | None = None
    at: int = 0
    n_wrong: int = 0
    wrong: list[str] = field(default_factory=list)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    greys: int = 0
    deepest: int = 0
    handled: Counter[str] = field(default_factory=Counter)

    def take(self, name: str, decoded: _Decoded | _NoImageError) -> None:
        """The next image, or why there is none."""
        self.at += 1
        if isinstance(decoded, _NoImageError):
            self.n_wrong += 1
            if len(self.wrong) < _MOST_NAMED:
                self.wrong.append(f"{shown(name)} ({decoded})")
            return
        self.sizes[_height_and_width(decoded.pixels)] += 1
        self.greys += decoded.pixels.shape[-1] == 1
        self.handled.update(decoded.handled)
        self.deepest = max(self.deepest, decoded.deepest or 0)
        if self.pixels is None:
            shape = self.known.shape if self.known else decoded.pixels.shape
            check_fits(self.n * int(np.prod(shape)), self.folder)
            self.pixels = np.zeros((self.n, *shape), np.uint8)
        if decoded.pixels.shape[:2] != self.pixels.shape[1:3]:
            return  # which ``result`` refuses
        if decoded.pixels.shape[-1] > self.pixels.shape[-1]:
            check_fits(3 * self.pixels.size, self.folder)
            self.pixels = np.repeat(self.pixels, 3, axis=-1)
        self.pixels[self.at - 1] = decoded.pixels

    def result(self) -> ImageFiles:
        """All images, once the last one was taken."""
        if self.n_wrong:
            more = self.n_wrong - len(self.wrong)
            named = ", ".join(self.wrong) + (f" and {more:,} more" if more else "")
            are = "is" if self.n_wrong == 1 else "are"
            raise DataError(
                f"Every image must be a file within {shown(self.folder)} that can be read; "
                f"{self.n_wrong:,} of {self.n:,} {are} not: {named}. Replace or remove "
                f"{'it' if self.n_wrong == 1 else 'them'}."
            )
        assert self.pixels is not None
        self._check_sizes()
        _, height, width, n_channels = self.pixels.shape
        resizes = self.known.resizes if self.known else self.size is not None
        form = self.known or ImageForm(n_channels, height, width, resizes)
        return ImageFiles(self.pixels, form, tuple(self._notes()), tuple(self._warnings()))

    def _check_sizes(self) -> None:
        if self.known is not None and not self.known.resizes:
            wanted = (self.known.height, self.known.width)
            others = Counter({s: n for s, n in self.sizes.items() if s != wanted})
            if others:
                raise DataError(
                    f"The model was trained on images of {_size(wanted)}, none of which was "
                    f"resized; received {_sizes(others)}. Resize them, or train with --size."
                )
        elif len(self.sizes) > 1:
            height, width = self.sizes.most_common(1)[0][0]
            example = f"{height}x{width}"
            raise DataError(
                f"Images have one size, height x width; {shown(self.folder)} holds "
                f"{_sizes(self.sizes)}. Resize them with --size HEIGHTxWIDTH, for instance "
                f"--size {example}; in Python, size={example!r}."
            )

    def _notes(self) -> Iterator[str]:
        n_channels = self.pixels.shape[-1] if self.pixels is not None else 0
        if self.known is None and n_channels == 3 and self.greys:
            yield f"{self.greys:,} of {self.n:,} images are grey, and became RGB like the others."
        for key, n in sorted(self.handled.items()):
            said = _SAID[key]
            if n > 1:
                said = said.replace("is ", "are ", 1).replace("has ", "have ", 1)
            yield f"{n:,} of {self.n:,} image{'' if self.n == 1 else 's'} {said}."

    def _warnings(self) -> Iterator[str]:
        if self.handled["deep"] and self.deepest < _DARK:
            yield (
                f"The images of 16 bits hold numbers up to {self.deepest:,} of 65,535 only, so "
                f"that {self.deepest // 256 + 1} of 256 steps of grey are left of them. Write them "
                "with 8 bits over their own range where that is too few."
            )


def _height_and_width(pixels: NDArray[Any]) -> tuple[int, int]:
    return int(pixels.shape[0]), int(pixels.shape[1])


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]:,} x {size[1]:,}"


def _sizes(sizes: Counter[tuple[int, int]]) -> str:
    """Sizes with their counts, the most frequent first."""
    return listed([f"{_size(size)} ({n:,})" for size, n in sizes.most_common()], most=4)
