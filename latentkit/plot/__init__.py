"""Figures from traces: each function draws a trace and returns the matplotlib axes.

Matplotlib is imported when a name is first used, not with the package.

A notebook shows a figure with its alt text, in light colours or, where its theme is dark, in dark ones; cells
of heatmaps have the same colours in both. A saved or printed figure is light. Save it as any matplotlib
figure, for slides and papers as SVG or PDF::

    ax = lk.plot_convergence(trace)
    ax.figure.savefig("convergence.svg", bbox_inches="tight")
    ax.figure.savefig("convergence.pdf", bbox_inches="tight")

How the figures compare with the published ones, on nano (F1 to F3) and on SmolLM2 (F5):

=================  =========================================  ============================================
                   published                                  here
=================  =========================================  ============================================
title of F1, F3    Latent State Convergence ``||x - x*||``    the same
title of F2        the same with s                            the same with ``symbol="s"``
iterations         0 to 64, ticks 0, 10 … 60                  the same
left, right axis   tokens, their indices                      the same; faint marks of spaces
rows               F1 182-240, F2 74-102, F3 19-39            the same text in nano's tokens
colours            viridis, logarithmic, ticks 10^0 to 10^2   viridis, logarithmic, 10^1 to 10^-5 on nano
label of the bar   Log Distance                               the same
limit              64 in the notebook, 128 in the text        128; a note says so
rows of F5         0, 15, 18, 17, 16, 19, 20, 21, 27          the same; a note on their order
columns of F5      Gen0 … Gen4, Generated Token               the same, with the tokens above
colours of F5      YlOrRd, linear, 0.2 to 1.4                 YlOrRd, logarithmic, 0.03 to 16
=================  =========================================  ============================================

nano's distances are smaller because its states are, and fall further because it computes in float32. Skipping
layer 0 of SmolLM2 has an effect fifty times that of most others, hence the logarithmic scale.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
