"""What the fused engine alone does: networks of any kind as one program, in groups and units."""

import itertools
import sys
from dataclasses import replace

import cloudpickle
import numpy as np
import pytest

from hpsearch.engines.contract import UnitResult, WorkUnit
from hpsearch.engines.fit_data import read_fit_data
from hpsearch.engines.fused.engine import FusedEngine, Sketch, parts_of, plan_fused_units
from hpsearch.engines.fused.training import FusedUnit
from hpsearch.engines.workers import Lost
from hpsearch.folds import Fold
from hpsearch.space.space import Candidate

N_ROWS, N_FOLDS, BATCH = 29, 3, 8  # folds of 19 and 20 training rows: 3 steps, the last partial


cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the spaces below go to a worker


def unit_of(candidates, positions=range(N_FOLDS), width=None):
    parts = tuple(WorkUnit(candidate, tuple(positions)) for candidate in candidates)
    return FusedUnit(parts, width or max(len(p.folds) for p in parts), f"test-{width}")


OPTIMIZERS = [
    {"optimizer": "sgd", "momentum": 0.0},
    {"optimizer": "sgd", "momentum": 0.9, "nesterov": False},
    {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
    {"optimizer": "rmsprop"},
    {"optimizer": "adam"},
    {"optimizer": "adamw", "weight_decay": 0.05},
    {"optimizer": "nadam"},
    {"optimizer": "adagrad"},
    {"optimizer": "adadelta"},
]
SCHEDULES = [
    {"schedule": "step", "final_rate_fraction": 0.1, "n_drops": 2},
    {"schedule": "exponential", "final_rate_fraction": 0.1},
    {"schedule": "inverse_time", "final_rate_fraction": 0.1},
    {"schedule": "cosine", "final_rate_fraction": 0.1},
    {"schedule": "warmup_cosine", "final_rate_fraction": 0.1, "warmup_fraction": 0.2},
]
REGULARIZERS = [
    {"regularization": "l1", "l1": 1e-3},
    {"regularization": "l2", "l2": 1e-2},
    {"regularization": "l1_l2", "l1": 1e-3, "l2": 1e-2},
]
NORMALIZATIONS = [
    {"batch_normalization": "before_activation"},
    {"batch_normalization": "after_activation"},
]
BASE = {
    "n_layers": 2,
    "units_1": 16,
    "units_2": 16,
    "dropout_1": 0.0,
    "dropout_2": 0.0,
    "activation": "relu",
    "batch_normalization": "none",
    "regularization": "none",
    "optimizer": "adam",
    "schedule": "constant",
    "batch_size": BATCH,
}


@pytest.mark.parametrize(
    "changes",
    [*OPTIMIZERS, *SCHEDULES, *REGULARIZERS, *NORMALIZATIONS, {"batch_size": 3_000_000}],
    ids=lambda c: "-".join(map(str, c.values())),
)
def test_every_epoch_is_that_of_keras_fit_alone(on_jax, table, make_job, changes):
    job = make_job(table("binary", N_ROWS), "mlp", n_folds=N_FOLDS, epochs=20, batch_size=BATCH)
    candidate = Candidate(3, {**BASE, **changes})
    fused = on_jax("fused_results", job, [unit_of([candidate])])
    for position in (0, N_FOLDS - 1):
        losses, outputs = on_jax("keras_curves", job, candidate, position)
        result = fused[3, position]
        np.testing.assert_allclose(result.train_loss, losses, rtol=1e-5)
        data = read_fit_data(job.data_path)
        y, rows = data.y, data.folds[position].validation
        np.testing.assert_allclose(
            result.validation["log_loss"], log_losses(y[rows], outputs[:, rows, 0]), rtol=1e-5
        )


TABULAR = {
    "n_layers": 1,
    "units": 64,
    "activation": "mish",
    "embedding": "periodic",
    "frequency": 0.1,
    "dropout": 0.15,
    "learning_rate": 2e-3,
    "weight_decay": 2e-2,
    "batch_size": BATCH,
}


def test_the_space_for_tables_trains_as_keras_fit_does(on_jax, table, make_job):
    job = make_job(table("regression", N_ROWS), "tabular", n_folds=N_FOLDS, epochs=20)
    candidate = Candidate(3, {**TABULAR, "dropout": 0.0})
    fused = on_jax("fused_results", job, [unit_of([candidate])])
    losses, _ = on_jax("keras_curves", job, candidate, 1)
    np.testing.assert_allclose(fused[3, 1].train_loss, losses, rtol=1e-4)


@pytest.mark.parametrize("effort", ["middle", "high"])
@pytest.mark.parametrize(
    "changes", [OPTIMIZERS[4] | REGULARIZERS[2], *NORMALIZATIONS], ids=["adam", "before", "after"]
)
def test_the_compilers_effort_changes_no_figure(on_jax, table, make_job, changes, effort):
    job = make_job(table("binary", N_ROWS), "mlp", n_folds=N_FOLDS, epochs=10, batch_size=BATCH)
    unit = unit_of([Candidate(3, {**BASE, **changes})])
    lazy = on_jax("fused_results", job, [unit], "low")
    keen = on_jax("fused_results", job, [unit], effort)
    for position in range(N_FOLDS):
        one, other = lazy[3, position], keen[3, position]
        np.testing.assert_allclose(one.train_loss, other.train_loss, rtol=1e-5)
        np.testing.assert_allclose(one.predictions, other.predictions, atol=1e-5)


@pytest.mark.parametrize("changes", [OPTIMIZERS[5] | REGULARIZERS[2], NORMALIZATIONS[0]])
def test_a_large_network_whose_variables_are_not_packed_trains_the_same(
    on_jax, table, make_job, changes
):
    job = make_job(table("binary", N_ROWS), "mlp", n_folds=N_FOLDS, epochs=10, batch_size=BATCH)
    unit = unit_of([Candidate(3, {**BASE, **changes})])
    packed = on_jax("fused_results", job, [unit])
    unpacked = on_jax("unpacked_results", job, [replace(unit, key=f"{unit.key}-unpacked")])
    for position in range(N_FOLDS):
        one, other = packed[3, position], unpacked[3, position]
        np.testing.assert_allclose(one.train_loss, other.train_loss, rtol=1e-5)
        np.testing.assert_allclose(one.predictions, other.predictions, atol=1e-5)


def log_losses(y, probabilities):
    p = probabilities.astype(np.float64)
    return -np.mean(np.where(y == 1, np.log(p), np.log(1.0 - p)), axis=1)


def test_dropout_scales_what_it_keeps_and_may_drop_everything(on_jax):
    found = on_jax("drop_of", [0.0, 0.25, 1.0])
    assert found["below"].tolist() == [0, 2**30, 2**32 - 2**8]
    np.testing.assert_array_equal(found["scale"], np.float32([1.0, 4 / 3, 0.0]))


def test_layers_may_draw_without_a_seed_and_while_they_are_traced(on_jax):
    assert on_jax("draw_where_numpy_cannot") == 8


def test_a_replica_with_dropout_is_the_same_alone_and_in_company(on_jax, table, make_job):
    job = make_job(table("binary", N_ROWS), "mlp", n_folds=N_FOLDS, epochs=4, batch_size=BATCH)
    shared = {**BASE, "dropout_1": 0.3, "dropout_2": 0.5, "batch_normalization": "after_activation"}
    first, second = Candidate(0, shared), Candidate(1, {**shared, "dropout_1": 0.1})
    together = on_jax("fused_results", job, [unit_of([first, second])])
    alone = on_jax("fused_results", job, [unit_of([second], positions=[1], width=1)])
    np.testing.assert_allclose(alone[1, 1].train_loss, together[1, 1].train_loss, rtol=1e-5)
    np.testing.assert_allclose(alone[1, 1].predictions, together[1, 1].predictions, atol=1e-6)


def test_the_bits_of_a_replica_depend_on_no_other_candidate_or_repeat(on_jax, table, make_job):
    dataset = table("binary", N_ROWS)
    values = {**BASE, "dropout_1": 0.3, "batch_normalization": "before_activation"}
    first, second = Candidate(0, {**values, "dropout_1": 0.1}), Candidate(1, values)
    results = []
    for repeats, candidates in ((1, [second]), (3, [first, second])):
        job = make_job(dataset, "mlp", n_folds=N_FOLDS, repeats=repeats, epochs=4, batch_size=BATCH)
        positions = [range(r * N_FOLDS, (r + 1) * N_FOLDS) for r in range(repeats)]
        parts = tuple(WorkUnit(c, tuple(p)) for c in candidates for p in positions)
        results.append(on_jax("fused_results", job, [FusedUnit(parts, N_FOLDS, "k")]))
    small, large = results
    assert len(small) == N_FOLDS < len(large)
    for key, alone in small.items():
        np.testing.assert_array_equal(alone.train_loss, large[key].train_loss)
        np.testing.assert_array_equal(alone.predictions, large[key].predictions)


def test_candidates_that_differ_in_numbers_alone_share_a_structure(on_jax, table, make_job):
    job = make_job(table("binary", N_ROWS), "mlp", n_folds=N_FOLDS, epochs=4)
    numbers = [
        {**BASE, "learning_rate": 1e-3},
        {**BASE, "learning_rate": 5e-3},
        {**BASE, "learning_rate": 1e-3, "schedule": "cosine", "final_rate_fraction": 0.1},
        {**BASE, "learning_rate": 1e-3, "regularization": "none"},
    ]
    structures = [
        {**BASE, "units_1": 32},
        {**BASE, "optimizer": "nadam"},
        {**BASE, "activation": "tanh"},
        {**BASE, "batch_size": 16},
        {**BASE, "dropout_1": 0.1},
    ]
    found = on_jax("sketches", job, [Candidate(i, v) for i, v in enumerate(numbers + structures)])
    keys = [sketch.key for sketch in found]
    assert len(set(keys[: len(numbers)])) == 1
    assert len(set(keys)) == 1 + len(structures)


def test_tables_candidates_share_a_structure_whatever_their_waves_and_rates(
    on_jax, table, make_job
):
    job = make_job(table("binary", N_ROWS), "tabular", n_folds=N_FOLDS, epochs=4)
    numbers = [
        TABULAR,
        {**TABULAR, "frequency": 0.5},
        {**TABULAR, "dropout": 0.4, "learning_rate": 1e-3, "weight_decay": 1e-3},
    ]
    structures = [{**TABULAR, "units": 128}, {**TABULAR, "activation": "relu"}]
    found = on_jax("sketches", job, [Candidate(i, v) for i, v in enumerate(numbers + structures)])
    keys = [sketch.key for sketch in found]
    assert len(set(keys[:3])) == 1
    assert len(set(keys)) == 3


def quantile_loss(hp, problem):
    import keras

    quantile = hp.Float("quantile", 0.0, 1.0)

    def pinball(y, predicted):
        error = y - predicted
        return keras.ops.mean(keras.ops.maximum(quantile * error, (quantile - 1) * error), axis=-1)

    return compiled(keras.Sequential([keras.Input((3,)), last_layer(problem)]), loss=pinball)


def gained(hp, problem):
    import keras

    gain = hp.Float("gain", 0.1, 10.0)

    def activation(x):
        return gain * x

    layers = [keras.Input((3,)), keras.layers.Dense(2, activation), last_layer(problem)]
    return compiled(keras.Sequential(layers), loss=problem.loss)


@pytest.mark.parametrize(("build", "name"), [(quantile_loss, "quantile"), (gained, "gain")])
def test_functions_of_one_name_that_hold_other_numbers_share_no_program(
    on_jax, table, make_job, build, name
):
    job = make_job(table("regression", N_ROWS), build, n_folds=N_FOLDS, batch_size=BATCH)
    candidates = [Candidate(trial, {name: 0.2 + 0.6 * trial}) for trial in range(2)]
    first, second = on_jax("sketches", job, candidates)
    assert first.reason is second.reason is None
    assert first.key != second.key
    folds = read_fit_data(job.data_path).folds
    every = tuple(range(N_FOLDS))
    whole = [(sketch, WorkUnit(sketch.candidate, every)) for sketch in (first, second)]
    units = plan_fused_units(whole, parts_of(folds), None)
    fused = on_jax("fused_results", job, units)
    for candidate in candidates:
        losses, _ = on_jax("keras_curves", job, candidate, 1)
        np.testing.assert_allclose(fused[candidate.trial, 1].train_loss, losses, rtol=1e-5)


def loss_of_a_batch(hp, problem):
    import keras

    def covariance(y, predicted):
        return -keras.ops.mean((y - keras.ops.mean(y)) * predicted)

    def covariance_of_units(y, predicted):
        return -keras.ops.mean((y - keras.ops.mean(y)) * predicted, axis=0)

    def centred(y, predicted):
        return keras.ops.mean((y - keras.ops.mean(y) - predicted) ** 2, axis=-1)

    losses = {loss.__name__: loss for loss in (covariance, covariance_of_units, centred)}
    loss = losses[hp.Choice("loss", list(losses))]
    return compiled(keras.Sequential([keras.Input((3,)), last_layer(problem)]), loss)


@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        ("covariance", "gives one value for a batch, not one for each row"),
        ("covariance_of_units", "gives one value for a batch, not one for each row"),
        ("centred", "computes with several rows of a batch at once"),
    ],
)
def test_a_loss_of_whole_batches_goes_to_the_reference_engine(
    on_jax, table, make_job, loss, reason
):
    job = make_job(table("two values", N_ROWS), loss_of_a_batch)
    [sketch] = on_jax("sketches", job, [Candidate(0, {"loss": loss})])
    assert sketch.key == ""
    assert sketch.reason == f"loss '{loss}' {reason}"


def in_half_precision(hp, problem):
    import keras

    part = hp.Choice("part", ["none", "layer", "optimizer"])
    hidden = keras.layers.Dense(2, dtype="mixed_float16" if part == "layer" else None)
    model = keras.Sequential([keras.Input((3,)), hidden, last_layer(problem)])
    optimizer = keras.optimizers.SGD()
    if part == "optimizer":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model.compile(optimizer, problem.loss)
    return model


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("none", None),
        ("layer", "its layers compute in mixed_float16, not in float32"),
        ("optimizer", "its optimizer is a LossScaleOptimizer"),
    ],
)
def test_other_precisions_go_to_the_reference_engine(on_jax, table, make_job, part, reason):
    job = make_job(table("regression", N_ROWS), in_half_precision)
    [sketch] = on_jax("sketches", job, [Candidate(0, {"part": part})])
    assert (sketch.reason, sketch.error) == (reason, None)


def folds_of(repeats, n_folds):
    rows = np.arange(4)
    return [Fold(r, f, rows[1:], rows[:1]) for r in range(repeats) for f in range(n_folds)]


@pytest.mark.parametrize(
    ("n_folds", "widths"), [(1, [1]), (4, [4]), (16, [16]), (17, [9, 8]), (40, [14, 14, 12])]
)
def test_a_part_is_a_repeat_or_what_fits_side_by_side(n_folds, widths):
    parts = parts_of(folds_of(3, n_folds))
    assert [len(part) for part in parts] == widths * 3
    assert list(itertools.chain(*parts)) == list(range(3 * n_folds))


def sketched(n, keys="a", positions=range(12)):
    sketches = [Sketch(Candidate(t, {}), key=keys[t % len(keys)], work=1.0) for t in range(n)]
    return [(sketch, WorkUnit(sketch.candidate, tuple(positions))) for sketch in sketches]


def named_by_its_activation(hp, problem):
    import keras

    kind = hp.Choice("kind", ["relu", "tanh"])
    rows = keras.Input(problem.input_shape)
    hidden = keras.layers.Dense(4, activation=kind, name=kind)(rows)
    outputs = keras.layers.Dense(problem.n_outputs, activation=problem.output_activation)(hidden)
    model = keras.Model(rows, outputs)
    model.compile("adam", problem.loss)
    return model


def test_a_layer_called_by_its_activation_does_not_hide_it(on_jax, table, make_job):
    job = make_job(table("regression"), named_by_its_activation)
    candidates = [Candidate(i, {"kind": kind}) for i, kind in enumerate(["relu", "tanh"])]
    assert len({sketch.key for sketch in on_jax("sketches", job, candidates)}) == 2


def test_units_hold_every_replica_once_and_parts_of_one_structure():
    units = plan_fused_units(sketched(7, "ab"), parts_of(folds_of(3, 4)), patience=None)
    replicas = [(p.candidate.trial, f) for u in units for p in u.parts for f in p.folds]
    assert sorted(replicas) == [(t, f) for t in range(7) for f in range(12)]
    for unit in units:
        assert len({p.candidate.trial % 2 for p in unit.parts}) == 1
        assert all(len(part.folds) == unit.n_replicas == 4 for part in unit.parts)
        assert 4 <= sum(len(part.folds) for part in unit.parts) <= 12


@pytest.mark.parametrize(("n", "n_units"), [(1, 3), (2, 6), (4, 12), (16, 12), (40, 30)])
def test_work_is_cut_as_fine_as_a_few_workers_need(n, n_units):
    units = plan_fused_units(sketched(n), parts_of(folds_of(3, 4)), patience=None)
    assert len(units) == n_units


def test_what_is_recorded_already_is_not_planned():
    units = plan_fused_units(sketched(2, positions=(4, 5, 6, 7)), parts_of(folds_of(3, 4)), None)
    assert [part.folds for unit in units for part in unit.parts] == [(4, 5, 6, 7)] * 2
    assert {unit.n_replicas for unit in units} == {4}


def test_with_patience_a_trial_stays_in_one_unit():
    units = plan_fused_units(sketched(5), parts_of(folds_of(3, 4)), patience=3)
    trials = [{part.candidate.trial for part in unit.parts} for unit in units]
    assert sorted(itertools.chain(*trials)) == list(range(5))
    sizes = [sum(len(part.folds) for part in unit.parts) for unit in units]
    assert sizes == [12 * len(found) for found in trials]


class GivesUp:
    """Workers that give up a unit in which trial 1 takes part."""

    def map_unordered(self, function, tasks):
        for task in tasks:
            if isinstance(task[1], Candidate):
                yield Sketch(task[1], key="one structure")
            elif any(part.candidate.trial == 1 for part in task[1].parts):
                yield Lost(task, attempts=2, limit=5.0)
            else:
                yield [UnitResult(part) for part in task[1].parts]


def test_a_trial_that_is_given_up_takes_no_other_trial_of_its_unit_along(table, make_job):
    job = make_job(table("binary", N_ROWS), "mlp", n_folds=N_FOLDS)
    engine = FusedEngine(GivesUp(), job, read_fit_data(job.data_path), None)
    work = [WorkUnit(Candidate(trial, {}), (0, 1, 2)) for trial in range(3)]
    errors = {result.unit.candidate.trial: result.error for result in engine.score(work)}
    assert errors == {0: None, 1: "it took longer than --trial-timeout 5, 2 times", 2: None}


def gru_over_features(hp, problem):
    import keras

    width = problem.input_shape[0]
    layers = [keras.Input((width,)), keras.layers.Reshape((width, 1)), keras.layers.GRU(4)]
    return compiled(keras.Sequential([*layers, last_layer(problem)]), problem.loss)


def two_branches(hp, problem):
    import keras

    rows = keras.Input(problem.input_shape)
    left = keras.layers.LayerNormalization()(keras.layers.Dense(4, "gelu")(rows))
    right = keras.layers.Dense(4, "tanh", kernel_constraint="max_norm")(rows)
    outputs = last_layer(problem)(keras.layers.Concatenate()([left, right]))
    return compiled(keras.Model(rows, outputs), problem.loss, clipnorm=0.5)


def embedded_signs(hp, problem):
    import keras

    rows = keras.Input(problem.input_shape)
    numbers = keras.ops.cast(keras.ops.greater(rows, 0.0), "int32")
    vectors = keras.layers.Embedding(2, 3)(numbers)
    pooled = keras.layers.GlobalAveragePooling1D()(vectors)
    return compiled(keras.Model(rows, last_layer(problem)(pooled)), problem.loss)


def last_layer(problem):
    import keras

    return keras.layers.Dense(problem.n_outputs, activation=problem.output_activation)


def compiled(model, loss, rate=0.01, **options):
    import keras

    model.compile(optimizer=keras.optimizers.Adam(rate, **options), loss=loss)
    return model


@pytest.mark.parametrize("build", [gru_over_features, two_branches, embedded_signs])
def test_any_keras_network_trains_as_keras_fit_does(on_jax, table, make_job, build):
    job = make_job(table("binary", N_ROWS), build, n_folds=N_FOLDS, epochs=5, batch_size=BATCH)
    candidate = Candidate(0, {})
    fused = on_jax("fused_results", job, [unit_of([candidate])])
    losses, _ = on_jax("keras_curves", job, candidate, 2)
    np.testing.assert_allclose(fused[0, 2].train_loss, losses, rtol=1e-5)


def rated(hp, problem):
    import keras

    rate = hp.Float("rate", 1e-3, 1e30, sampling="log")
    dense = keras.layers.Dense(4, "relu")
    model = keras.Sequential([keras.Input(problem.input_shape), dense, last_layer(problem)])
    model.compile(optimizer=keras.optimizers.SGD(rate), loss=problem.loss)
    return model


def test_a_diverging_trial_fails_and_its_company_goes_on(on_jax, table, make_job):
    job = make_job(table("regression", N_ROWS), rated, n_folds=N_FOLDS, batch_size=BATCH)
    sane, wild = Candidate(0, {"rate": 0.01}), Candidate(1, {"rate": 1e30})
    errors = on_jax("unit_errors", job, [unit_of([sane, wild])])
    assert errors[0] is None
    assert "diverged" in errors[1]


def seeded_by_hand(hp, problem):
    import keras

    dense = keras.layers.Dense(4, "relu", kernel_initializer=keras.initializers.HeNormal(7))
    model = keras.Sequential([keras.Input(problem.input_shape), dense, last_layer(problem)])
    return compiled(model, problem.loss)


def random_by_numpy(hp, problem):
    import keras

    model = keras.Sequential([keras.Input(problem.input_shape), last_layer(problem)])
    model.layers[0].set_weights(
        [np.random.normal(size=(*problem.input_shape, problem.n_outputs)), np.zeros(1)]  # noqa: NPY002
    )
    return compiled(model, problem.loss)


NOISY = {**BASE, "dropout_1": 0.3, "batch_normalization": "before_activation"}


@pytest.mark.parametrize(
    ("build", "values"),
    [
        ("mlp", NOISY),
        (gru_over_features, {}),
        (two_branches, {}),
        (embedded_signs, {}),
        (seeded_by_hand, {}),
    ],
)
def test_initial_values_are_those_of_a_network_built_under_the_seed(
    on_jax, table, make_job, build, values
):
    drawn, built = on_jax("initial_values", make_job(table("binary"), build), values, (0, 5, 6))
    assert drawn is not None
    for mine, theirs in zip(drawn, built, strict=True):
        for group, other in zip(mine, theirs, strict=True):
            assert len(group) == len(other)
            for value, expected in zip(group, other, strict=True):
                assert value.dtype == expected.dtype
                np.testing.assert_array_equal(value, expected)
    assert any((a != b).any() for a, b in zip(drawn[1][0], drawn[2][0], strict=True))


def test_weights_that_a_space_draws_itself_are_drawn_by_building(on_jax, table, make_job):
    job = make_job(table("binary", N_ROWS), random_by_numpy, n_folds=N_FOLDS, batch_size=BATCH)
    drawn, built = on_jax("initial_values", job, {}, (5, 6))
    assert drawn is None
    assert (built[0][0][0] != built[1][0][0]).any()
    fused = on_jax("fused_results", job, [unit_of([Candidate(0, {})])])
    losses, _ = on_jax("keras_curves", job, Candidate(0, {}), 1)
    np.testing.assert_allclose(fused[0, 1].train_loss, losses, rtol=1e-5)
