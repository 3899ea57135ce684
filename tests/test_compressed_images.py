"""WebP files of a given size."""

import numpy as np

from mlcv_explore.data.compressed_images import webp
from mlcv_explore.data.dataset import to_float
from mlcv_explore.data.scenes import ScenesConfig, generate
from mlcv_explore.metrics.image_quality import psnr


def test_a_file_fits_its_bytes_or_is_the_smallest_there_is() -> None:
    images = generate(ScenesConfig(), 6, 0, "of a test").images
    (_, tight), (roomy, sizes), (wide, more) = (webp(images, np.full(6, size)) for size in (10, 120, 600))
    assert (tight < 60).all() and (tight > 10).all()  # no WebP has ten bytes
    assert (sizes <= 120).all() and (more <= 600).all() and (more > sizes).all()
    truths = to_float(images)
    assert roomy.dtype == np.float32 and roomy.shape == truths.shape
    assert psnr(wide, truths) > psnr(roomy, truths)
