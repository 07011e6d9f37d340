"""A figure's HTML in headless Chromium: light, dark, and in print."""

from __future__ import annotations

import io

import numpy as np
import pytest
from lab_for_tests import IN_BROWSER
from PIL import Image
from test_plot_convergence import fake_trace, words

from latentkit.plot import plot_convergence, with_alt

pytestmark = IN_BROWSER


@pytest.mark.parametrize(
    ("page_is_dark", "media", "corner"),
    [(False, "screen", 255), (True, "screen", 17), (True, "print", 255)],
)
def test_a_figure_is_dark_in_the_dark_theme_of_jupyterlab_and_light_in_print(
    browser, page_is_dark, media, corner
):
    shown = with_alt(plot_convergence(fake_trace(words(5))))
    page = browser.new_page()
    light = str(not page_is_dark).lower()
    page.set_content(f'<body data-jp-theme-light="{light}">{shown.to_html()}</body>')
    page.emulate_media(media=media)
    figure = page.get_by_role("img", name=shown.alt)
    figure.evaluate("one => one.decode()")
    pixels = np.asarray(Image.open(io.BytesIO(figure.screenshot())).convert("RGB"))
    assert pixels[3, 3].tolist() == [corner] * 3
    assert figure.bounding_box()["width"] == shown.size[0]
    page.close()
