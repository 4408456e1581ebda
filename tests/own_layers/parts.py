"""What the space imports: an activation and a regularizer."""

import keras


@keras.saving.register_keras_serializable(package="mine")
def swishy(x):
    return x * keras.ops.sigmoid(1.5 * x)


@keras.saving.register_keras_serializable(package="mine")
class Shrink(keras.regularizers.Regularizer):
    def __init__(self, strength):
        self.strength = strength

    def __call__(self, x):
        return self.strength * keras.ops.sum(keras.ops.log1p(keras.ops.square(x)))

    def get_config(self):
        return {"strength": self.strength}
