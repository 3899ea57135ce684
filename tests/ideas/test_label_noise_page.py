"""The page of label noise: what its data are."""

from functools import partial

from tests import opening
from tests.opening import words

SLUG = "label_noise"
opened = partial(opening.opened, SLUG)


def test_the_demo_names_the_data_of_the_recorded_run():
    app = opened()
    assert not app.exception
    assert "Data: CIFAR-10, photographs as features of an ImageNet network." in words(app)
