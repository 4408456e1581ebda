"""A space for tables of numbers and categories: a network whose defaults are strong as they are.

It takes what pays in networks of recent years. Numbers are clipped smoothly, so that far values
don't rule, and every feature has a scale of its own that training finds quickly (RealMLP:
Holzmüller, Grinsztajn & Steinwart, "Better by default", 2024). Each number is joined by a few waves
of itself and by its place between quantiles, with which a network learns what is not smooth
(Gorishniy, Rubachev & Babenko, "On embeddings for numerical features in tabular deep learning",
2022). Then come three layers with Mish, and AdamW, whose learning rate falls to nothing four times, each time twice as slowly
(Loshchilov & Hutter, "SGDR", 2017): where few epochs are enough, one of the first falls will do.

Few hyperparameters, those that matter. All of it is made of Keras's own layers and operations, so
that the exported model loads anywhere.
"""

import math

UNITS = [64, 128, 256]
ACTIVATIONS = ["mish", "selu"]

CLIPPED_AT = 3.0
"""Standard deviations that a smoothly clipped number comes near and never reaches."""

N_WAVES, N_EMBEDDED = 16, 3
"""Waves of each number, and features that they are mixed to, beside the number itself."""

SCALE_SPEED = 6.0
"""How many times as fast as other weights the features' scales are learnt."""

BINS = "numbers.piecewise"
"""The input that holds how much of each interval between quantiles lies below a number."""

N_CYCLES = 4
"""Of 1, 2, 4 and 8 parts of all steps."""

BEST_ELSEWHERE = [
    {
        "n_layers": 3,
        "units": 64,
        "activation": "mish",
        "embedding": "periodic",
        "frequency": 0.059,
        "dropout": 0.04,
        "learning_rate": 0.0021,
        "weight_decay": 0.00023,
    },
    {
        "n_layers": 1,
        "units": 128,
        "activation": "mish",
        "embedding": "periodic",
        "frequency": 0.11,
        "dropout": 0.35,
        "learning_rate": 0.0026,
        "weight_decay": 0.0049,
    },
    {
        "n_layers": 2,
        "units": 128,
        "activation": "selu",
        "embedding": "both",
        "frequency": 0.068,
        "dropout": 0.16,
        "learning_rate": 0.006,
        "weight_decay": 0.0057,
    },
    {
        "n_layers": 3,
        "units": 128,
        "activation": "mish",
        "embedding": "both",
        "frequency": 0.038,
        "dropout": 0.31,
        "learning_rate": 0.002,
        "weight_decay": 0.052,
    },
    {
        "n_layers": 3,
        "units": 128,
        "activation": "selu",
        "embedding": "none",
        "dropout": 0.16,
        "learning_rate": 0.0027,
        "weight_decay": 0.087,
    },
]
"""What helped most after the defaults, on nine tables of ``benchmarks/portfolio.py``."""


def declare(hp, problem):
    """Declare every hyperparameter; builds nothing and needs no backend."""
    hp.Int("n_layers", 1, 3, default=3)
    hp.Choice("units", UNITS, default=128)
    hp.Choice("activation", ACTIVATIONS)
    if embeds(problem):
        hp.Choice("embedding", embeddings(problem))
        with hp.conditional_scope("embedding", ["both", "periodic"]):
            hp.Float("frequency", 0.02, 1.0, sampling="log", default=0.1)
    hp.Float("dropout", 0.0, 0.5, default=0.15)
    hp.Float("learning_rate", 3e-4, 1e-2, sampling="log", default=2e-3)
    hp.Float("weight_decay", 1e-4, 1e-1, sampling="log", default=2e-2)
    hp.Choice("batch_size", batch_sizes(problem.n_train))


def embeds(problem):
    """Whether numbers are embedded: bags of words go to dense layers as they are, which is fast."""
    return problem.n_numbers > 0 and not problem.n_words


def embeddings(problem):
    """How numbers can be embedded, the default first."""
    has_bins = BINS in problem.inputs and "flat" in problem.inputs
    return [*(["both"] if has_bins else []), "periodic", "none"]


def batch_sizes(n_train):
    """The usual one, which leaves some 16 steps an epoch at least, then twice and four times it."""
    usual = 16 if n_train < 512 else 32 if n_train < 1024 else 64 if n_train < 16384 else 128
    return [size for size in (usual, 2 * usual, 4 * usual) if size <= n_train] or [n_train]


def portfolio(problem):
    """The configurations to try after the defaults, as far as this problem has them."""
    missing = set() if embeds(problem) else {"embedding", "frequency"}
    known = [
        {name: value for name, value in each.items() if name not in missing}
        for each in BEST_ELSEWHERE
    ]
    possible = embeddings(problem)
    return [each for each in known if each.get("embedding", "none") in possible]


def build(hp, problem):
    """The compiled network of one configuration."""
    import keras

    declare(hp, problem)
    inputs = [keras.Input(problem.input_shape, name="flat")]
    rows = keras.layers.Flatten()(inputs[0]) if len(problem.input_shape) > 1 else inputs[0]
    if embeds(problem):
        parts = embedded(hp, rows, problem.n_numbers)
        if hp.get("embedding") == "both":
            inputs.append(keras.Input(problem.inputs[BINS].shape, name=BINS))
            parts.append(keras.layers.Flatten()(inputs[-1]))
        rows = scaled(keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0])
    for _ in range(hp.get("n_layers")):
        rows = hidden_layer(hp, rows)
    last = keras.layers.Dense(
        problem.n_outputs, activation=problem.output_activation, kernel_initializer="zeros"
    )
    model = keras.Model(inputs if len(inputs) > 1 else inputs[0], last(rows))
    model.compile(optimizer=optimizer(hp, problem), loss=problem.loss)
    return model


def embedded(hp, rows, n_numbers):
    """The parts of rows: the numbers, which come first, clipped; their waves; what is left."""
    import keras

    numbers, others = rows[:, :n_numbers], rows[:, n_numbers:]
    ops = keras.ops
    numbers = numbers / ops.sqrt(1.0 + ops.square(numbers / CLIPPED_AT))
    parts = [numbers]
    if hp.get("embedding") in ("both", "periodic"):
        parts.append(keras.layers.Flatten()(waves(hp, numbers, n_numbers)))
    if others.shape[-1]:
        parts.append(others)
    return parts


def waves(hp, numbers, n_numbers):
    """(n, n_numbers, N_EMBEDDED): mixed cosines of each number, of learnt frequency and phase."""
    import keras
    from keras import initializers

    phases = keras.layers.EinsumDense(
        "ab,bk->abk",
        output_shape=(n_numbers, N_WAVES),
        bias_axes="bk",
        kernel_initializer=initializers.RandomNormal(stddev=2 * math.pi * hp.get("frequency")),
        bias_initializer=initializers.RandomUniform(-math.pi, math.pi),
    )
    mixed = keras.layers.EinsumDense(
        "abk,bke->abe",
        output_shape=(n_numbers, N_EMBEDDED),
        bias_axes="be",
        kernel_initializer=initializers.RandomUniform(
            -1 / math.sqrt(N_WAVES), 1 / math.sqrt(N_WAVES)
        ),
    )
    return mixed(keras.ops.cos(phases(numbers)))


def scaled(rows):
    """Rows whose features are multiplied by scales that begin at 1."""
    import keras

    grown = keras.layers.EinsumDense(
        "ab,b->ab", output_shape=rows.shape[1:], kernel_initializer="zeros"
    )
    return rows + SCALE_SPEED * grown(rows)


def hidden_layer(hp, rows):
    """Dense, activation and dropout."""
    import keras

    activation = hp.get("activation")
    start = "lecun_normal" if activation == "selu" else "he_normal"
    rows = keras.layers.Dense(hp.get("units"), kernel_initializer=start)(rows)
    rows = keras.layers.Activation(activation)(rows)
    return keras.layers.Dropout(hp.get("dropout"))(rows)


def optimizer(hp, problem):
    """AdamW, its learning rate falling from the full rate to nothing in each cycle."""
    import keras

    first = math.ceil(problem.total_steps(hp.get("batch_size")) / (2**N_CYCLES - 1))
    rates = keras.optimizers.schedules.CosineDecayRestarts(hp.get("learning_rate"), first)
    return keras.optimizers.AdamW(rates, weight_decay=hp.get("weight_decay"), beta_2=0.95)
