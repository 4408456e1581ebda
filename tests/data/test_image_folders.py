"""Folders of images: classes by their folders' names, and a column of paths in a table."""

import os

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from hpsearch.data import load, read_rows
from hpsearch.data.dataset import Schema
from hpsearch.data.loading import load_test
from hpsearch.errors import DataError, FoldError, OptionError
from hpsearch.folds import choose_splitter, make_folds
from hpsearch.folds.blocks import dataset_duplicates
from tests.made_images import digits_folder, picture, save


@pytest.fixture
def pets(tmp_path):
    """Three pictures of cats, one of them in a folder within, and two of dogs."""
    folder = tmp_path / "pets"
    for seed, name in enumerate(
        ["cat/b.png", "cat/2024/a.png", "cat/c.PNG", "dog/a.png", "dog/b.png"]
    ):
        save(picture(seed=seed), folder, name, format="PNG")
    return folder


def refusal(source, **options):
    with pytest.raises((DataError, OptionError)) as error:
        load(source, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_classes_are_the_folders_names_and_rows_are_sorted_by_path(pets):
    data = load(pets)
    assert (data.name, data.target.names, data.target.labels) == (
        "pets",
        ("class",),
        ("cat", "dog"),
    )
    assert data.y.tolist() == [0, 0, 0, 1, 1]
    order = [1, 0, 2, 3, 4]  # cat/2024/a.png comes first
    for pixels, seed in zip(data.arrays["image"], order, strict=True):
        assert_array_equal(pixels, np.asarray(picture(seed=seed)))


def test_what_was_read_is_said(pets):
    lines = load(pets, size=8).describe()
    assert lines[1] == "array (1): image (images of 8 x 8 with 3 channels, from files, resized)"
    assert lines[2].startswith("target: class, binary: the folders' names")


def test_folders_that_are_named_by_numbers_are_classes_however_many(tmp_path):
    for number in range(50):
        save(picture(seed=number), tmp_path, f"{number // 2}/{number}.png")
    data = load(tmp_path)
    assert (data.target.kind, len(data.target.labels)) == ("multiclass", 25)


def test_other_files_and_empty_folders_are_left_out_and_said(pets):
    (pets / "readme.txt").write_text("pets")
    (pets / "bird").mkdir()
    save(picture(), pets, "overview.png")
    for hidden in (".DS_Store", "cat/.b.png", ".cache/x.png", "cat/Thumbs.db"):
        save(picture(), pets, hidden, format="PNG")
    data = load(pets)
    assert data.n_rows == 5
    assert data.notes[:3] == (
        "Folders without an image were left out: bird.",
        "1 image beside the folders of classes has no class and was left out: overview.png.",
        "1 file is no image by its name and was left out: readme.txt.",
    )


def test_folders_of_training_and_test_images_are_known_by_their_names(tmp_path):
    for seed, name in enumerate(["train/a/1.png", "train/b/1.png", "val/a/2.png", "Test/b/3.png"]):
        save(picture(seed=seed), tmp_path, name)
    save(picture(seed=9), tmp_path, "Test/a/4.png")
    data = load(tmp_path)
    assert data.y.tolist() == [0, 1, 0]
    assert data.test is not None
    assert data.test.y.tolist() == [0, 1]
    assert_array_equal(data.test.arrays["image"][1], np.asarray(picture(seed=3)))
    assert "The images of train, val were joined" in " ".join(data.notes)


def test_two_classes_named_train_and_anything_else_are_classes(tmp_path):
    for name in ("train/a.png", "plane/a.png"):
        save(picture(), tmp_path, name)
    assert load(tmp_path).target.labels == ("plane", "train")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], "is empty"),
        (["a/notes.txt"], "holds 1 other file, such as 'a/notes.txt'"),
        (["a.png", "b.png"], "the 2 images of"),
        (["a/1.png", "a/2.png"], "has images in 'a' alone"),
    ],
)
def test_folders_without_classes_are_refused(tmp_path, files, said):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in files:
        save(picture(), folder, name, format="PNG")
    assert said in refusal(folder)


def test_a_link_to_a_folder_is_refused(pets, tmp_path):
    save(picture(), tmp_path, "other/a.png")
    os.symlink(tmp_path / "other", pets / "bird")
    assert "is a link to another one" in refusal(pets)


def test_a_class_with_one_image_is_refused_by_the_folds(tmp_path):
    digits_folder(tmp_path, 20, most=2)
    save(picture(8, 8).convert("L"), tmp_path, "2/a.png")
    data = load(tmp_path)
    with pytest.raises(FoldError, match="at least 4 rows of each class; class '2' has 1"):
        make_folds(choose_splitter(data)[0], data)


# -- new images


def test_new_images_are_read_in_any_folders(pets, tmp_path):
    schema = load(pets, size=4).schema
    save(picture(30, 30), tmp_path, "new/x.png")
    save(picture(20, 10).convert("L"), tmp_path, "new/deep/er/y.jpg")
    rows = read_rows(tmp_path / "new", Schema.from_json(schema.to_json()))
    assert rows.arrays["image"].shape == (2, 4, 4, 3)
    assert rows.paths["image"].tolist() == ["deep/er/y.jpg", "x.png"]


def test_a_folder_is_read_again_as_it_was_from_any_place(pets, monkeypatch):
    monkeypatch.chdir(pets.parent)
    data = load("pets", size="5x4")
    monkeypatch.chdir("/")
    again = load(data.origin.source, **data.origin.options)
    assert (again.name, again.fingerprint, again.schema) == ("pets", data.fingerprint, data.schema)


def test_test_images_come_from_another_folder(pets):
    data = load(pets)
    assert load_test(pets, data).y.tolist() == data.y.tolist()


def test_an_array_of_images_is_read_as_the_folders(pets):
    data = load(pets)
    rows = read_rows(data.arrays["image"], data.schema)
    assert_array_equal(rows.arrays["image"], data.arrays["image"])


def test_a_folder_of_nothing_is_no_new_rows(pets, tmp_path):
    schema = load(pets).schema
    (tmp_path / "new").mkdir()
    with pytest.raises(DataError, match="is empty"):
        read_rows(tmp_path / "new", schema)


# -- a column of paths


@pytest.fixture
def listed(pets):
    """A table beside the folder: paths, numbers, a target, and one picture twice."""
    files = ["pets/cat/b.png", "pets/cat/c.PNG", "pets/dog/a.png", "pets/cat/b.png"]
    table = pd.DataFrame({"photo": files, "age": [1.5, 2.0, 3.5, 4.0], "pet": list("ccdc")})
    table.to_csv(pets.parent / "pets.csv", index=False)
    return pets.parent / "pets.csv"


def test_paths_start_from_the_tables_folder(listed):
    data = load(listed, image="photo", target="pet")
    assert [c.kind for c in data.schema.columns] == ["number", "array"]
    assert_array_equal(data.arrays["photo"][2], np.asarray(picture(seed=3)))
    rows = read_rows(listed, data.schema)
    assert rows.paths["photo"].tolist()[0] == "pets/cat/b.png"
    assert rows.frame["age"].tolist() == [1.5, 2.0, 3.5, 4.0]


def test_parquet_and_frames_name_images_too(listed, monkeypatch):
    table = pd.read_csv(listed)
    table.to_parquet(listed.with_suffix(".parquet"))
    monkeypatch.chdir(listed.parent)
    prints = {
        load(source, image="photo", target="pet").fingerprint
        for source in (listed, listed.with_suffix(".parquet"), table)
    }
    assert len(prints) == 1


def test_rows_with_one_image_stay_together_whatever_stands_beside_it(listed):
    data = load(listed, image="photo", target="pet")
    assert dataset_duplicates(data).tolist() == [0, 1, 2, 0]


def test_how_many_rows_share_an_image_is_said(tmp_path):
    for seed in range(20):
        save(picture(seed=seed), tmp_path, f"{seed}.png")
    files = [f"{n % 20}.png" for n in range(22)]
    pd.DataFrame({"f": files, "x": np.arange(22.0), "y": np.arange(22.0)}).to_csv(
        tmp_path / "t.csv", index=False
    )
    data = load(tmp_path / "t.csv", image="f", target="y")
    assert "2 rows share their images with 2 others" in choose_splitter(data)[1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"image": "foto"}, "--image must name a column; the table has no 'foto'. Columns: photo"),
        ({"image": "pet"}, "'pet' is named by --target and --image"),
        ({"image": "age"}, "4 of 4 are not: '1.5' (there is no such file)"),
        ({"size": 8}, "--size resizes images that are read from files"),
        ({"image": "photo", "size": "8x"}, "such as 96 or 96x64; received '8x'"),
        ({"image": "photo", "size": 0}, "from 1 to 16,384"),
        ({"image": "photo", "size": 2.5}, "received 2.5"),
        ({"image": "photo", "size": (8, 8, 3)}, "received (8, 8, 3)"),
        ({"image": "photo", "size": True}, "received True"),
    ],
)
def test_options_that_do_not_fit_are_refused(listed, options, said):
    assert said in refusal(listed, target="pet", **options)


def test_an_empty_cell_is_refused_with_its_line(listed):
    table = pd.read_csv(listed)
    table.loc[1, "photo"] = None
    table.to_csv(listed, index=False)
    assert "column 'photo' has none in line 3" in refusal(listed, image="photo", target="pet")
