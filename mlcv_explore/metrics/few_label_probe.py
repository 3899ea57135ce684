"""A linear probe of every seed, trained on its few labels."""

import numpy as np

from mlcv_explore.data.few_labels import FewLabels
from mlcv_explore.metrics.linear_probe import principal_components, probe


def few_label_accuracy(
    dataset: FewLabels, train: np.ndarray, validation: np.ndarray, test: np.ndarray
) -> np.ndarray:
    """Test accuracy (S,) of logistic probes on the labelled images' codes, in the
    principal components of all training codes; codes are (S, n, d). The penalty is
    chosen on validation codes.
    """
    split, accuracy = dataset.split, []
    for row, (labelled, labels) in enumerate(zip(dataset.labelled, dataset.labels, strict=True)):
        components = principal_components(train[row], train.shape[-1])
        parts = [components.transform(part) for part in (train[row][labelled], validation[row], test[row])]
        predicted = probe(parts[0], labels, parts[1], split.validation.labels, parts[2]).argmax(1)
        accuracy.append((predicted == split.test.labels).mean())
    return np.array(accuracy, dtype=np.float32)
