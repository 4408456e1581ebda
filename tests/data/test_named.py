"""Named sets: those bundled with scikit-learn, and those that Keras downloads."""

import gzip
import os
import pickle
import subprocess
import sys
import tarfile

import numpy as np
import pandas as pd
import pytest

from hpsearch.data import load
from hpsearch.data.named import catalogue, read_named
from hpsearch.errors import DataError, OptionError


@pytest.mark.parametrize("record", [r for r in catalogue() if r.name.startswith("sklearn:")])
def test_bundled_sets_are_what_the_catalogue_says(record):
    data = load(record.name)
    n_left_out = sum("was left out" in note for note in data.notes)
    assert data.n_rows == record.n_rows
    assert len(data.schema.columns) + n_left_out == record.n_columns
    assert data.target.kind == record.kind
    assert record.available


def test_bundled_classes_have_their_names():
    assert load("sklearn:iris").target.labels == ("setosa", "versicolor", "virginica")
    assert load("sklearn:breast_cancer").target.labels == ("benign", "malignant")


def test_a_bundled_set_of_several_targets_has_them_all():
    assert load("sklearn:linnerud").target.names == ("Weight", "Waist", "Pulse")


def test_another_column_of_a_bundled_set_can_be_the_target():
    data = load("sklearn:iris", target="petal width (cm)")
    assert data.target.kind == "regression"
    assert data.schema.of_kind("category")[0].name == "species"


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(DataError, match="Did you mean 'sklearn:iris'"):
        load("sklearn:irs")
    with pytest.raises(DataError, match="Sets: sklearn:iris"):
        load("keras:xyzzy")


def test_y_and_path_have_no_meaning_for_bundled_sets():
    with pytest.raises(OptionError, match="knows its target"):
        load("sklearn:iris", [1])
    with pytest.raises(OptionError, match="sets of Keras"):
        load("sklearn:iris", path="iris.csv")


def test_the_catalogue_imports_nothing_heavy():
    script = (
        "import sys; from hpsearch.data.named import catalogue; catalogue();"
        "print([m for m in ('keras', 'sklearn', 'tensorflow', 'jax') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"


def test_the_catalogue_knows_what_is_in_kerass_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    folder = tmp_path / "datasets"
    folder.mkdir()
    (folder / "mnist.npz").write_bytes(b"")
    found = {record.name: record for record in catalogue()}
    assert found["keras:mnist"].available
    assert found["keras:mnist"].where == str(folder / "mnist.npz")
    assert not found["keras:imdb"].available
    assert not found["keras:fashion_mnist"].available
    assert found["keras:fashion_mnist"].where == str(folder / "fashion-mnist")


# --- Keras's sets from files like those that Keras downloads ------------------------------------


@pytest.fixture
def boston(tables, tmp_path):
    table = pd.read_csv(tables / "boston_housing.csv")
    path = tmp_path / "boston_housing.npz"
    np.savez(path, x=table.drop(columns="medv").to_numpy(float), y=table["medv"].to_numpy())
    return path


def test_boston_housing_is_shuffled_and_cut_as_by_keras(boston, tables):
    data = load("keras:boston_housing", path=boston)
    table = pd.read_csv(tables / "boston_housing.csv")
    order = np.arange(506)
    np.random.RandomState(113).shuffle(order)
    assert (data.n_rows, data.test.n_rows) == (404, 102)
    assert data.target.names == ("medv",)
    assert data.y[:, 0].tolist() == table["medv"].iloc[order[:404]].tolist()
    assert data.frame["lstat"].tolist() == table["lstat"].iloc[order[:404]].tolist()
    assert data.test.frame["crim"].tolist() == table["crim"].iloc[order[404:]].tolist()


def test_a_folder_with_the_file_will_do(boston):
    assert load("keras:boston_housing", path=boston.parent).n_rows == 404


def test_california_housing_has_its_columns(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "california_housing.npz"
    np.savez(path, x=rng.normal(size=(10, 8)), y=rng.normal(size=10))
    data = load("keras:california_housing", path=path)
    assert data.schema.columns[7].name == "median_income"


def test_mnist_stays_small_integers(tmp_path):
    path = tmp_path / "mnist.npz"
    images = np.arange(6 * 28 * 28).reshape(6, 28, 28).astype(np.uint8)
    digits = np.array([0, 1, 2, 0, 1, 2], dtype=np.uint8)
    np.savez(path, x_train=images, y_train=digits, x_test=images[:2], y_test=digits[:2])
    data = load("keras:mnist", path=path, task="multiclass")
    assert data.arrays["image"].dtype == np.uint8
    assert data.arrays["image"].shape == (6, 28, 28)
    assert data.target.labels == (0, 1, 2)
    assert data.test.y.tolist() == [0, 1]


def test_fashion_mnist_is_read_from_its_four_files(tmp_path):
    for part, n in (("train", 6), ("t10k", 2)):
        labels = bytes(8) + bytes(i % 3 for i in range(n))
        images = bytes(16) + bytes(n * 28 * 28)
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
    data = load("keras:fashion_mnist", path=tmp_path, task="multiclass")
    assert data.y.tolist() == [0, 1, 2, 0, 1, 2]
    assert data.test.n_rows == 2


def sequences(*lists):
    array = np.empty(len(lists), dtype=object)
    array[:] = [list(words) for words in lists]
    return array


def test_imdb_is_a_sparse_matrix_of_its_10_000_most_frequent_words(tmp_path):
    path = tmp_path / "imdb.npz"
    train = sequences([5, 6], [7, 20_000], [5], [6, 6])
    labels = np.array([0, 1, 0, 1])
    np.savez(path, x_train=train, y_train=labels, x_test=train[:1], y_test=labels[:1])
    data = load("keras:imdb", path=path)
    words = data.arrays["words"]
    assert words.shape == (4, 10_000)
    assert words.dtype == np.float32
    # Keras starts each review with 1, shifts its words by 3 and writes 2 for rare ones.
    found = sorted(tuple(np.flatnonzero(row)) for row in words.toarray())
    assert found == [(1, 2, 10), (1, 8), (1, 8, 9), (1, 9)]
    assert data.target.kind == "binary"
    assert "10,000 most frequent words" in data.notes[0]
    assert data.test.arrays["words"].shape == (1, 10_000)


def test_reuters_is_cut_as_by_keras(tmp_path):
    path = tmp_path / "reuters.npz"
    np.savez(path, x=sequences(*([i, i + 1] for i in range(10))), y=np.array([0, 1] * 5))
    data = load("keras:reuters", path=path)
    assert (data.n_rows, data.test.n_rows) == (8, 2)


def test_many_numbered_topics_are_classes(tmp_path):
    path = tmp_path / "reuters.npz"
    topics = np.arange(230) % 46
    np.savez(path, x=sequences(*([i, i + 1] for i in range(230))), y=topics)
    data = load("keras:reuters", path=path)
    assert data.target.kind == "multiclass"
    assert len(data.target.labels) == 46
    assert "multiclass of 46 classes: as is known of this set" in "".join(data.describe())


def test_a_set_of_classes_can_be_read_as_numbers_when_asked(tmp_path):
    path = tmp_path / "mnist.npz"
    images = np.arange(6 * 28 * 28).reshape(6, 28, 28).astype(np.uint8)
    digits = np.array([0, 1, 2, 0, 1, 2], dtype=np.uint8)
    np.savez(path, x_train=images, y_train=digits, x_test=images[:2], y_test=digits[:2])
    assert load("keras:mnist", path=path, task="regression").target.kind == "regression"


class _Evil:
    def __reduce__(self):
        return (print, ("code from the file ran",))


def test_code_in_a_file_is_not_run(tmp_path, capsys):
    path = tmp_path / "imdb.npz"
    evil = np.array([_Evil(), _Evil()], dtype=object)
    np.savez(path, x_train=evil, y_train=evil, x_test=evil, y_test=evil)
    with pytest.raises(DataError, match="is not the file that Keras publishes"):
        load("keras:imdb", path=path)
    assert "ran" not in capsys.readouterr().out


def test_a_keras_that_would_run_code_reads_no_file_of_ones_own(tmp_path, monkeypatch):
    import keras.datasets.imdb

    module = sys.modules[keras.datasets.imdb.load_data.__module__]
    cifar_module = sys.modules[f"{module.__package__}.cifar"]
    monkeypatch.delattr(module, "npz_utils", raising=False)
    monkeypatch.delattr(cifar_module, "RestrictedUnpickler", raising=False)
    (tmp_path / "imdb.npz").write_bytes(b"")
    with pytest.raises(DataError, match=r"Install Keras 3\.15"):
        load("keras:imdb", path=tmp_path / "imdb.npz")


@pytest.fixture(scope="module")
def cifar(tmp_path_factory):
    """An archive like CIFAR-10's: five batches of 10,000 images and one of test images."""
    folder = tmp_path_factory.mktemp("cifar") / "cifar-10-batches-py"
    folder.mkdir()
    batch = {
        b"data": np.zeros((10_000, 3072), dtype=np.uint8),
        b"labels": [i % 10 for i in range(10_000)],
    }
    first = folder / "data_batch_1"
    first.write_bytes(pickle.dumps(batch, protocol=4))
    for name in ("data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"):
        (folder / name).hardlink_to(first)
    return folder


def test_cifar10_is_read_from_its_folder(cifar):
    table = read_named("keras:cifar10", cifar)
    assert table.arrays["image"].shape == (50_000, 32, 32, 3)
    assert table.test.arrays["image"].shape == (10_000, 32, 32, 3)
    assert table.frame["class"].tolist()[:11] == [*range(10), 0]


def test_cifar10_is_read_from_its_archive(cifar, tmp_path):
    archive = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        tar.add(cifar, cifar.name)
    assert read_named("keras:cifar10", archive).n_rows == 50_000


def test_a_damaged_archive_is_refused(write):
    with pytest.raises(DataError, match="no archive with the folder 'cifar-10-batches-py'"):
        load("keras:cifar10", path=write("x", "cifar.tar.gz"))


def test_an_archive_of_something_else_is_refused(tmp_path):
    archive = tmp_path / "other.tar.gz"
    with tarfile.open(archive, "w:gz"):
        pass
    with pytest.raises(DataError, match="is not the file that Keras publishes"):
        load("keras:cifar10", path=archive)


@pytest.mark.parametrize("content", [b"", b"no zip"])
def test_a_damaged_file_is_refused(write, content):
    with pytest.raises(DataError, match="is not the file that Keras publishes"):
        load("keras:mnist", path=write(content, "mnist.npz"))


def test_a_file_with_other_keys_is_refused(tmp_path):
    np.savez(tmp_path / "mnist.npz", a=np.arange(3))
    with pytest.raises(DataError, match="KeyError"):
        load("keras:mnist", path=tmp_path / "mnist.npz")


def test_a_path_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match="Check --path"):
        load("keras:mnist", path=tmp_path / "mnist.npz")


def test_a_folder_without_the_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"has no train-labels-idx1-ubyte\.gz"):
        load("keras:fashion_mnist", path=tmp_path)


def test_a_failed_download_says_where_to_put_the_file(tmp_path, monkeypatch, capsys):
    import keras.datasets.mnist

    def fail(*args, **kwargs):
        print("Downloading data from far away")
        raise Exception("URL fetch failure")  # as Keras does

    module = sys.modules[keras.datasets.mnist.load_data.__module__]
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(module, "get_file", fail)
    with pytest.raises(DataError, match=r"cannot be downloaded \(URL fetch failure\).*mnist\.npz"):
        load("keras:mnist")
    assert capsys.readouterr().out == ""


def test_a_set_in_kerass_cache_is_read_from_there(boston, monkeypatch):
    import keras.datasets.boston_housing

    module = sys.modules[keras.datasets.boston_housing.load_data.__module__]
    monkeypatch.setattr(module, "get_file", lambda *args, **kwargs: str(boston))
    assert load("keras:boston_housing").n_rows == 404


@pytest.mark.timeout(60)
def test_a_path_that_cannot_be_read_to_its_end_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match=r"which is a named pipe\. Check --path"):
        load("keras:mnist", path=tmp_path / "pipe")
    with pytest.raises(DataError, match="too long"):
        load("keras:mnist", path="x" * 5_000)
