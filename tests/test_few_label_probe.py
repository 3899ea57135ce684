"""Probes with few labels choose on validation codes and are scored on test labels."""

import dataclasses

import numpy as np

from mlcv_explore.data import few_labels
from mlcv_explore.metrics.few_label_probe import few_label_accuracy


def test_probes_are_scored_on_test_labels_in_the_unit_of_training_codes():
    images = few_labels.load("digits", (600, 297, 900), 5, (0, 1))
    codes = [np.broadcast_to(part.flatten(1).numpy(), (2, len(part), 64)) for part in images.images.values()]
    accuracy = few_label_accuracy(images, *codes)
    assert accuracy.shape == (2,) and (accuracy > 0.6).all() and accuracy[0] != accuracy[1]
    wrong = dataclasses.replace(images.split.test, labels=(images.split.test.labels + 1) % 10)
    relabelled = dataclasses.replace(images, split=dataclasses.replace(images.split, test=wrong))
    assert (few_label_accuracy(relabelled, *codes) < 0.2).all()
    # the unit is that of training codes: such small test codes are all alike
    assert (few_label_accuracy(images, codes[0], codes[1], 1e-6 * codes[2]) < 0.2).all()


def test_the_penalty_is_chosen_on_validation_labels():
    images = few_labels.load("digits", (600, 297, 900), 5, (0,))
    codes = [part.flatten(1).numpy()[None] for part in images.images.values()]
    validation = dataclasses.replace(images.split.validation, labels=images.split.validation.labels[::-1])
    misled = dataclasses.replace(images, split=dataclasses.replace(images.split, validation=validation))
    assert few_label_accuracy(misled, *codes) != few_label_accuracy(images, *codes)
