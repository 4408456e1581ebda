"""Prints the tables of docs/metrics.md, made of the metrics' declarations."""

from hpsearch.metrics.base import tables

if __name__ == "__main__":
    print(tables())
