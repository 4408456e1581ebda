"""Image files: which pixels come out of a file, and what is refused in one line."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from hpsearch.data.images import ImageForm, read_images
from hpsearch.errors import DataError
from tests.made_images import header_of_png, picture, save

COLOURS = picture()
GREY = COLOURS.convert("L")


def read(folder, *images, **options):
    """Images written as PNGs (or under a name and options of their own) and read again."""
    names = []
    for number, image in enumerate(images):
        names.append(f"{number}.png")
        save(image, folder, names[-1])
    return read_images(names, folder, **options)


def refusal(folder, *names, **options):
    with pytest.raises(DataError) as error:
        read_images(names, folder, **options)
    return str(error.value)


def test_colours_are_kept_as_they_are(tmp_path):
    found = read(tmp_path, COLOURS)
    assert found.pixels.dtype == np.uint8
    assert_array_equal(found.pixels[0], np.asarray(COLOURS))
    assert (found.form.text, found.notes, found.warnings) == ("RGB, of 4 x 6", (), ())


def test_grey_images_have_one_channel(tmp_path):
    found = read(tmp_path, GREY, GREY)
    assert found.form.shape == (4, 6, 1)
    assert_array_equal(found.pixels[1, :, :, 0], np.asarray(GREY))


@pytest.mark.parametrize("order", [(GREY, COLOURS), (COLOURS, GREY)])
def test_grey_images_among_colours_become_rgb_whichever_comes_first(tmp_path, order):
    found = read(tmp_path, *order)
    for image, pixels in zip(order, found.pixels, strict=True):
        assert_array_equal(pixels, np.asarray(image.convert("RGB")))
    assert found.notes == ("1 of 2 images are grey, and became RGB like the others.",)


@pytest.mark.parametrize("ending", ["bmp", "gif", "png", "ppm", "tif", "webp"])
def test_formats_without_loss_give_the_same_pixels(tmp_path, ending):
    image = COLOURS.convert("P") if ending == "gif" else COLOURS
    options = {"lossless": True} if ending == "webp" else {}
    save(image, tmp_path, f"a.{ending}", **options)
    found = read_images([f"a.{ending}"], tmp_path)
    assert_array_equal(found.pixels[0], np.asarray(image.convert("RGB")))


def test_what_is_transparent_becomes_white(tmp_path):
    image = COLOURS.convert("RGBA")
    alpha = np.full((4, 6), 255, np.uint8)
    alpha[0] = 0
    image.putalpha(Image.fromarray(alpha))
    found = read(tmp_path, image)
    assert (found.pixels[0, 0] == 255).all()
    assert_array_equal(found.pixels[0, 1:], np.asarray(COLOURS)[1:])
    assert found.notes == ("1 of 1 image is transparent in places, which became white.",)


def test_an_opaque_alpha_channel_needs_no_word(tmp_path):
    found = read(tmp_path, GREY.convert("LA"))
    assert (found.form.n_channels, found.notes) == (1, ())


def test_of_16_bits_the_upper_8_are_kept(tmp_path):
    values = np.array([[0, 255, 256], [511, 40_000, 65_535]], np.uint16)
    found = read(tmp_path, Image.fromarray(values))
    assert_array_equal(found.pixels[0, :, :, 0], [[0, 0, 1], [1, 156, 255]])
    assert found.notes == ("1 of 1 image has 16 bits a pixel, of which the upper 8 are kept.",)
    assert found.warnings == ()


def test_16_bits_that_hold_little_are_warned_of(tmp_path):
    found = read(tmp_path, Image.fromarray(np.array([[0, 4095]], np.uint16)))
    assert "up to 4,095 of 65,535 only, so that 16 of 256 steps" in found.warnings[0]


def test_the_colours_of_print_become_rgb(tmp_path):
    save(COLOURS.convert("CMYK"), tmp_path, "a.tif")
    found = read_images(["a.tif"], tmp_path)
    assert found.form.n_channels == 3
    assert "colours of print (CMYK)" in found.notes[0]


def test_a_photo_is_turned_as_its_exif_data_say(tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # the camera was held upright
    save(COLOURS, tmp_path, "a.png", exif=exif)
    found = read_images(["a.png"], tmp_path)
    assert_array_equal(found.pixels[0], np.rot90(np.asarray(COLOURS), -1))


def test_of_several_frames_the_first_is_taken(tmp_path):
    first = GREY.convert("P")
    save(first, tmp_path, "a.gif", save_all=True, append_images=[first.rotate(180)])
    found = read_images(["a.gif"], tmp_path)
    assert_array_equal(found.pixels[0].max(axis=-1), np.asarray(GREY))
    assert "several frames, of which the first" in found.notes[0]


def test_images_of_all_sizes_are_resized(tmp_path):
    found = read(tmp_path, picture(40, 20), picture(5, 9), size=(10, 8))
    assert found.pixels.shape == (2, 10, 8, 3)
    assert found.form.text == "RGB, resized to 10 x 8"


def test_an_image_of_the_size_asked_for_keeps_its_pixels(tmp_path):
    assert_array_equal(read(tmp_path, COLOURS, size=(4, 6)).pixels[0], np.asarray(COLOURS))


def test_mixed_sizes_are_refused_with_the_sizes_and_the_remedy(tmp_path):
    with pytest.raises(DataError) as error:
        read(tmp_path, picture(4, 6), picture(9, 9), picture(4, 6))
    assert "one size, height x width" in str(error.value)
    assert "holds 4 x 6 (2), 9 x 9 (1)" in str(error.value)
    assert "--size 4x6; in Python, size='4x6'" in str(error.value)


# -- new rows


def test_new_images_become_what_the_model_knows(tmp_path):
    grey = ImageForm(1, 4, 6, resizes=True)
    found = read(tmp_path, picture(8, 12), form=grey)
    assert found.pixels.shape == (1, 4, 6, 1)
    assert "has colours, which became grey" in found.notes[0]
    assert read(tmp_path, GREY, form=ImageForm(3, 4, 6, resizes=True)).pixels.shape == (1, 4, 6, 3)


def test_new_images_of_another_size_are_refused_where_none_was_resized(tmp_path):
    form = ImageForm(3, 4, 6, resizes=False)
    assert read(tmp_path, COLOURS, form=form).pixels.shape == (1, 4, 6, 3)
    with pytest.raises(DataError, match=r"images of 4 x 6, none .* received 9 x 9 \(1\)"):
        read(tmp_path, picture(9, 9), form=form)


def test_an_image_is_read_the_same_in_any_company(tmp_path):
    form = ImageForm(3, 5, 5, resizes=True)
    alone = read(tmp_path, GREY, form=form).pixels[0]
    assert_array_equal(alone, read(tmp_path, GREY, COLOURS, form=form).pixels[0])


# -- refusals


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "tif", "webp", "gif"])
def test_a_truncated_image_is_refused(tmp_path, ending):
    path = save(picture(60, 60), tmp_path, f"a.{ending}")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert f"1 of 1 is not: 'a.{ending}' (" in refusal(tmp_path, f"a.{ending}")


def test_all_that_cannot_be_read_are_counted_and_the_first_named(tmp_path):
    save(COLOURS, tmp_path, "good.png")
    for name in ("text.png", "empty.png"):
        (tmp_path / name).write_text("text" if name == "text.png" else "")
    names = ("good.png", "text.png", "empty.png", "none.png", "/etc/passwd")
    said = refusal(tmp_path, *names)
    assert "4 of 5 are not: 'text.png' (it is no image, or of a kind that is not read)" in said
    assert "'none.png' (there is no such file) and 1 more. Replace or remove them." in said


def test_what_would_have_pillow_run_a_program_is_not_opened(tmp_path):
    save(COLOURS, tmp_path, "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")
    assert "of a kind that is not read" in refusal(tmp_path, "a.png")


@pytest.mark.parametrize("side", [9_500, 95_000])
def test_an_image_of_very_many_pixels_is_an_error_and_no_warning(tmp_path, side):
    (tmp_path / "a.png").write_bytes(header_of_png(side, side))
    assert "more than the 89,478,485 pixels that are read" in refusal(tmp_path, "a.png")


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_of_32_bits_are_refused(tmp_path, mode):
    values = np.full((3, 3), 1e6, np.float32 if mode == "F" else np.int32)
    save(Image.fromarray(values), tmp_path, "a.tif")
    assert "write them with 8 or 16" in refusal(tmp_path, "a.tif")


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../a.png", "b/../../a.png", "C:\\a.png", "~/a.png", "..\\a.png"]
)
def test_a_path_that_leaves_the_folder_is_refused(tmp_path, name):
    save(COLOURS, tmp_path, "a.png")
    folder = tmp_path / "folder"
    folder.mkdir()
    assert "its path leads out of the folder" in refusal(folder, name)


def test_a_link_that_leaves_the_folder_is_refused(tmp_path):
    save(COLOURS, tmp_path, "a.png")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.png").symlink_to(tmp_path / "a.png")
    assert "its path leads out of the folder" in refusal(folder, "a.png")


def test_a_link_within_the_folder_and_windows_paths_are_followed(tmp_path):
    save(COLOURS, tmp_path, "b/a.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "b" / "a.png")
    found = read_images(["link.png", "b\\a.png", " b/a.png "], tmp_path)
    assert (found.pixels == np.asarray(COLOURS)).all()


def test_images_that_do_not_fit_into_memory_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("hpsearch.data.memory.free_bytes", lambda: 100)
    save(COLOURS, tmp_path, "a.png")
    assert "must fit into memory" in refusal(tmp_path, *["a.png"] * 3)
