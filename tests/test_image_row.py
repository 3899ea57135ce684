"""A row of images has the size of its enlarged pixels and gaps, and names what it shows."""

import io
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from mlcv_explore.ui import image_row


@pytest.mark.parametrize(
    ("count", "side", "size", "expected"),
    [(1, 8, 192, (192, 192)), (3, 32, 64, (3 * 64 + 4 * 6, 64 + 2 * 6)), (1, 100, 64, (100, 100))],
)
def test_a_row_is_as_wide_as_its_images_and_gaps(count, side, size, expected):
    paper = mock.patch.object(image_row.theme, "palette", return_value=mock.Mock(background="#FFFFFF"))
    with mock.patch.object(image_row, "st") as streamlit, paper:
        image_row.show([np.full((1, side, side), 0.5)] * count, "Halves", size=size)
    streamlit.caption.assert_called_once_with("Halves")
    assert streamlit.image.call_args.kwargs["alt"] == "Halves"
    image = Image.open(io.BytesIO(streamlit.image.call_args.args[0]))
    assert image.size == expected and image.getpixel((expected[0] // 2, expected[1] // 2)) == (128,) * 3
