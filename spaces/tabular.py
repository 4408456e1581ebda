"""A space for tables of numbers and categories: a network whose defaults are strong as they are.

It takes what pays in networks of recent years. Each number is joined by a few waves of itself and
by its place between quantiles, with which a network learns what is not smooth (Gorishniy, Rubachev
& Babenko, "On embeddings for numerical features in tabular deep learning", 2022). Every feature has
a scale of its own that training finds quickly, then come three layers with Mish (RealMLP:
Holzmüller, Grinsztajn & Steinwart, "Better by default", 2024). The learning rate falls to nothing
four times, each time twice as slowly (Loshchilov & Hutter, "SGDR", 2017): where few epochs are
enough, one of the first falls will do. ``benchmarks/ablation.py`` tells what each part is worth.

Few hyperparameters, those that matter. All of it is made of Keras's own layers and operations, so
that the exported model loads anywhere.
"""

import math

UNITS = [64, 128, 256]
ACTIVATIONS = ["mish", "selu"]
BATCH_SIZES = [32, 64, 128, 256]

N_WAVES, N_EMBEDDED = 16, 3
"""Waves of each number, and features that they are mixed to, beside the number itself."""

SCALE_SPEED = 6.0
"""How many times as fast as other weights the features' scales are learnt."""

BINS = "numbers.piecewise"
"""The input that holds how much of each interval between quantiles lies below a number."""

MOST_BINNED, MOST_EMBEDDED = 128, 512
"""Numbers that are joined by their places, and by waves: of more, layers would become very wide."""

N_CYCLES = 4
"""Of 1, 2, 4 and 8 parts of all epochs."""

CUT_OFF = 0.15
"""Share of the last cycle that may be missing, where epochs don't come out even."""

BEST_ELSEWHERE = [
    {
        "n_layers": 3,
        "units": 128,
        "activation": "selu",
        "embedding": "none",
        "dropout": 0.024,
        "learning_rate": 0.0059,
    },
    {
        "n_layers": 2,
        "units": 64,
        "activation": "selu",
        "embedding": "both",
        "frequency": 0.11,
        "dropout": 0.44,
        "learning_rate": 0.0063,
    },
    {
        "n_layers": 1,
        "units": 128,
        "activation": "mish",
        "embedding": "both",
        "frequency": 0.028,
        "dropout": 0.12,
        "learning_rate": 0.0023,
    },
    {
        "n_layers": 2,
        "units": 64,
        "activation": "selu",
        "embedding": "both",
        "frequency": 0.021,
        "dropout": 0.089,
        "learning_rate": 0.003,
    },
    {
        "n_layers": 1,
        "units": 64,
        "activation": "mish",
        "embedding": "periodic",
        "frequency": 0.1,
        "dropout": 0.38,
        "learning_rate": 0.00042,
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
    sizes = [size for size in BATCH_SIZES if size <= problem.n_train] or BATCH_SIZES[:1]
    hp.Choice("batch_size", sizes, default=min(usual_batch_size(problem.n_train), sizes[-1]))


def embeds(problem):
    """Whether numbers are embedded: bags of words go to dense layers as they are, which is fast."""
    return 0 < problem.n_numbers <= MOST_EMBEDDED and not problem.n_words


def embeddings(problem):
    """How numbers can be embedded, the default first."""
    has_bins = BINS in problem.inputs and "flat" in problem.inputs
    has_bins = has_bins and problem.n_numbers <= MOST_BINNED
    return [*(["both"] if has_bins else []), "periodic", "none"]


def usual_batch_size(n_train):
    """The batch size that leaves some 16 steps an epoch, and not many more than 128."""
    return 32 if n_train < 1024 else 64 if n_train < 16384 else 128


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
    """The parts of rows: the numbers, which come first; their waves; what is left."""
    import keras

    numbers, others = rows[:, :n_numbers], rows[:, n_numbers:]
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
    """Adam, its learning rate falling from the full rate to nothing in each cycle."""
    import keras

    first = first_cycle(problem.epochs) * problem.steps_per_epoch(hp.get("batch_size"))
    rates = keras.optimizers.schedules.CosineDecayRestarts(hp.get("learning_rate"), first)
    return keras.optimizers.Adam(rates, beta_2=0.95)


def first_cycle(epochs):
    """Epochs of the first cycle, where each has twice as many as the one before.

    Cycles have whole epochs, so that the rate is at its end after the same epoch however many rows
    there are. There are four of them, or fewer where most of the last one would be cut off.
    """
    for n_cycles in range(N_CYCLES, 1, -1):
        first = math.ceil(epochs / (2**n_cycles - 1))
        if first * (2**n_cycles - 1) - epochs <= CUT_OFF * first * 2 ** (n_cycles - 1):
            return first
    return epochs
