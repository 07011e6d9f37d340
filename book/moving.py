"""The picture of the start page: a heat map that fills iteration by iteration, and its last frame."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle
from PIL import Image

import latentkit as lk

TEXT = "The capital of the land where Mount Fuji stands is"
ITERATIONS = 48


def main(folder: Path) -> None:
    """Write moving.webp and still.png into the folder."""
    mpl.use("agg")
    trace = lk.run_recurrence(lk.load_model("nano"), TEXT, iterations=ITERATIONS, progress=False)
    figure, ax = plt.subplots(figsize=(9, 4.2), dpi=100, layout="constrained")
    lk.plot_convergence(trace, ax=ax)
    ax.set_title("")  # the frame's own title takes its place
    cover = ax.add_patch(Rectangle((0, 0), 0, 0, color=ax.get_facecolor(), zorder=5))
    frames = [frame(figure, ax, cover, trace, i) for i in range(ITERATIONS + 1)]
    pause = [120] * ITERATIONS + [4000]
    frames[0].save(
        folder / "moving.webp", save_all=True, append_images=frames[1:], duration=pause, loop=0, quality=60
    )
    frames[-1].save(folder / "still.png", optimize=True)


def frame(figure: plt.Figure, ax: plt.Axes, cover: Rectangle, trace: object, i: int) -> Image.Image:
    """Return the picture with the iterations after ``i`` covered."""
    _, right = ax.get_xlim()
    bottom, top = ax.get_ylim()
    cover.set_bounds(i + 0.5, min(bottom, top), max(0, right - i - 0.5), abs(top - bottom))
    word = str(trace.readout_text.isel(token=-1, iteration=i, rank=0).values)
    ax.set_title(f"{TEXT} …\niteration {i:2}: the next token would be “{word}”", loc="left", fontsize=12)
    data = io.BytesIO()
    figure.savefig(data, format="png")
    return Image.open(data).convert("RGB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
