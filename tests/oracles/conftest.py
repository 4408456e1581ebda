"""What the tests of all oracles share."""

import pytest


@pytest.fixture(autouse=True)
def quick_gp(monkeypatch):
    """GP with little effort for each proposal; what is held here must not depend on it."""
    from hpsearch.oracles import gp

    sampler_of = gp._sampler

    def quick(seed):
        sampler = sampler_of(seed)
        effort = {"n_preliminary_samples": 64, "n_local_search": 2, "n_qmc_samples_qei": 4}
        for name, value in {**effort, "tol": 0.1}.items():
            assert hasattr(sampler, f"_{name}")
            setattr(sampler, f"_{name}", value)
        return sampler

    monkeypatch.setattr(gp, "_sampler", quick)
