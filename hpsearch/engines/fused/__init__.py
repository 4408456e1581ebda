"""The fused engine: all replicas of one structure train as one program, on JAX."""
