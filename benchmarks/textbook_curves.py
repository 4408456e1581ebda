"""The pictures of docs/tutorial/: learning curves of the trials of a run that trained to the end.

python benchmarks/textbook_curves.py RUN docs/tutorial/NAME.svg      # needs hpsearch[bench]
"""

import sys

import matplotlib

import hpsearch

matplotlib.use("svg")
matplotlib.rcParams |= {"svg.hashsalt": "textbook", "svg.fonttype": "none"}


def draw(run, path):
    """Draw validation curves of the completed trials, and both of the selected one."""
    import matplotlib.pyplot as plt

    metric, selected = run.best["metric"], run.best["trial"]
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    completed = run.trials.loc[run.trials["status"] == "completed", "trial"]
    for trial in completed:
        curve = run.curves[run.curves["trial"] == trial]
        if trial != selected:
            axes.plot(curve["epoch"], curve[f"val_{metric}"], color="0.6", linewidth=1)
    curve = run.curves[run.curves["trial"] == selected]
    epochs, mean = curve["epoch"], curve[f"val_{metric}"]
    error = curve[f"val_{metric}_se"]
    axes.fill_between(epochs, mean - error, mean + error, color="tab:blue", alpha=0.2, linewidth=0)
    axes.plot(epochs, mean, color="tab:blue", label=f"trial {selected}, validation")
    axes.plot(
        epochs,
        curve[f"train_{metric}"],
        "--",
        color="tab:blue",
        label=f"trial {selected}, training",
    )
    axes.plot([], [], color="0.6", linewidth=1, label="the others, validation")
    axes.axvline(run.best["best_epoch"], color="0.3", linewidth=0.8, linestyle=":")
    # the first epochs would take all the height
    late = run.curves[run.curves["trial"].isin(completed) & (run.curves["epoch"] > 3)]
    axes.set_ylim(0, 1.1 * late[f"val_{metric}"].max())
    axes.set(xlabel="epoch", ylabel=metric)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    draw(hpsearch.open_run(sys.argv[1]), sys.argv[2])
