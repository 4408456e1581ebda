"""The reference engine: any Keras model, one replica at a time, on TensorFlow."""
