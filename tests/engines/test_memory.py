"""What keeps memory low: blocks of epochs and rows, one copy of the table, and no rows to plan."""

import numpy as np
import pytest

import hpsearch
from hpsearch.engines.contract import WorkUnit
from hpsearch.engines.fit_data import read_fit_data
from hpsearch.engines.fused.training import FusedUnit
from hpsearch.space.space import Candidate

N_ROWS, EPOCHS = 29, 7
VALUES = {
    "n_layers": 1,
    "units_1": 16,
    "dropout_1": 0.3,
    "activation": "relu",
    "batch_normalization": "before_activation",
    "regularization": "none",
    "optimizer": "adam",
    "schedule": "cosine",
    "final_rate_fraction": 0.1,
    "batch_size": 8,
}
UNIT = FusedUnit((WorkUnit(Candidate(0, VALUES), (0, 1, 2)),), 3, "one structure")
EPOCH_BYTES = 3 * (3 * 8 + N_ROWS) * 4  # of three replicas: orders of three steps, predictions
EVERYTHING = 100 * EPOCH_BYTES


@pytest.fixture(scope="module")
def job(table, make_job):
    return make_job(table("regression", N_ROWS), "mlp", epochs=EPOCHS)


@pytest.fixture(scope="module")
def whole(on_jax, job):
    """Results of the unit with one call for all epochs and one block for all rows."""
    return on_jax("results_in_blocks", job, UNIT, EVERYTHING, N_ROWS)


@pytest.mark.parametrize("block_bytes", [1, 2 * EPOCH_BYTES], ids=["one epoch", "two epochs"])
def test_no_bit_depends_on_how_many_epochs_a_call_trains(on_jax, job, whole, block_bytes):
    parts = on_jax("results_in_blocks", job, UNIT, block_bytes, N_ROWS)
    for position in range(3):
        one, other = whole[0, position], parts[0, position]
        assert one.epochs == other.epochs == EPOCHS
        np.testing.assert_array_equal(one.train_loss, other.train_loss)
        np.testing.assert_array_equal(one.predictions, other.predictions)
        for metric in one.validation:
            np.testing.assert_array_equal(one.validation[metric], other.validation[metric])
            np.testing.assert_array_equal(one.train[metric], other.train[metric])


@pytest.mark.parametrize("predict_rows", [4, 8], ids=["eight blocks", "four blocks"])
def test_predictions_do_not_depend_on_blocks_of_rows(on_jax, job, whole, predict_rows):
    parts = on_jax("results_in_blocks", job, UNIT, EVERYTHING, predict_rows)
    for position in range(3):
        one, other = whole[0, position], parts[0, position]
        np.testing.assert_array_equal(one.train_loss, other.train_loss)
        np.testing.assert_allclose(one.predictions, other.predictions, rtol=1e-6)
        for metric, scores in one.train.items():
            np.testing.assert_allclose(scores, other.train[metric], rtol=1e-6, atol=1e-6)


def test_the_device_reads_the_table_where_it_is_mapped(on_jax, make_job):
    rng = np.random.default_rng(0)
    numbers, images = rng.normal(size=(300, 17)), rng.normal(size=(300, 5, 5)).astype(np.float32)
    for x in (numbers, images):
        job = make_job(hpsearch.load(x, rng.normal(size=300)), "mlp")
        assert not any(on_jax("copies_of_the_table", job))


def test_tensorflow_reads_the_table_where_it_is_mapped(tmp_path, monkeypatch):
    from hpsearch.engines.reference import program

    made = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", made)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    part = program.as_tensor(mapped[10:])  # part of a file is copied
    monkeypatch.setattr(program.tf, "constant", lambda array: pytest.fail("a copy"))
    np.testing.assert_array_equal(program.as_tensor(mapped).numpy(), made)
    np.testing.assert_array_equal(part.numpy(), made[10:])


def test_data_are_read_as_they_were_written(table, make_job):
    dataset = table("binary", N_ROWS)
    data = read_fit_data(make_job(dataset, "mlp").data_path)
    np.testing.assert_array_equal(data.encoded.numbers, dataset.frame.to_numpy(np.float32))
    assert isinstance(data.encoded.numbers, np.memmap)
    assert not data.encoded.numbers.flags.writeable
    assert data.encoded.codes.shape == (N_ROWS, 0)
    np.testing.assert_array_equal(data.y, dataset.y)


def test_a_plan_keeps_the_number_of_rows_and_none_of_them(table, make_job):
    data = read_fit_data(make_job(table("binary", N_ROWS), "mlp").data_path)
    plan = data.without_features()
    assert plan.encoded.n_rows == N_ROWS
    assert plan.encoded.numbers.nbytes == plan.encoded.codes.nbytes == 0
    assert plan.folds is data.folds
