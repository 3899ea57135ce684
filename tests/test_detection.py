"""Boxes survive their encoding; cells learn what is visible, and only objects weigh."""

import torch

from mlcv_explore.data import scenes
from mlcv_explore.models.detection import (
    DetectionNetwork,
    decode_boxes,
    detection_loss,
    detection_targets,
    encode_boxes,
)


def test_boxes_survive_encoding():
    boxes, kinds = torch.tensor([[4.0, 8.0, 17.0, 20.0], [0.0, 0.0, 12.0, 12.0]]), torch.tensor([2, 0])
    outputs = torch.zeros(2, 9, 8, 8)
    outputs[:, 4], outputs[:, 5:] = 5.0, encode_boxes(boxes, 8)  # none everywhere, but for two cells
    outputs[0, 2, 2, 3] = outputs[1, 0, 1, 1] = 9.0
    decoded_kinds, decoded = decode_boxes(outputs)
    assert decoded_kinds.tolist() == kinds.tolist()
    torch.testing.assert_close(decoded, boxes)


def test_cells_predict_what_is_visible_and_later_objects_cover_earlier_ones():
    generated = scenes.generate(scenes.ScenesConfig(smallest=0.35, largest=0.5), 2, 0)
    masks = torch.from_numpy(generated.masks[:1]).float()[:, None]
    labels, boxes = torch.from_numpy(generated.labels).split(1), torch.from_numpy(generated.boxes).split(1)
    kinds, distances = detection_targets(labels, (masks, 0 * masks), boxes, 4)
    assert set(kinds.flatten().tolist()) == {int(labels[0]), 4}
    assert (kinds == labels[0]).sum() == (torch.nn.functional.avg_pool2d(masks, 4) >= 0.5).sum()
    torch.testing.assert_close(distances, encode_boxes(boxes[0], 8))
    for visible in ((0 * masks, masks), (masks, masks)):
        kinds, distances = detection_targets(labels, visible, boxes, 4)
        inside = kinds[0] == labels[1]
        covered = encode_boxes(boxes[1], 8)[0][:, inside]
        assert inside.any() and torch.equal(distances[0][:, inside], covered)


def test_the_loss_is_least_at_the_target_and_boxes_count_on_objects_alone():
    kinds, distances = torch.full((1, 8, 8), 4), torch.zeros(1, 4, 8, 8)
    kinds[0, 3, 3] = 2
    outputs = torch.zeros(1, 9, 8, 8)
    outputs.scatter_(1, kinds[:, None], 30.0)
    assert float(detection_loss(outputs, kinds, distances)) < 1e-6
    outputs[0, 5:, 0, 0] = 9.0  # a box where nothing is
    assert float(detection_loss(outputs, kinds, distances)) < 1e-6
    outputs[0, 5:, 3, 3] = 1.05
    assert abs(float(detection_loss(outputs, kinds, distances)) - 1.0) < 1e-5  # smooth L1, beta 0.1


def test_an_images_share_weighs_its_part_of_the_loss() -> None:
    outputs = torch.randn(2, 9, 8, 8, generator=torch.Generator().manual_seed(0))
    kinds, distances = torch.full((2, 8, 8), 4), torch.ones(2, 4, 8, 8)
    kinds[0, 3, 3] = kinds[1, 5, 2] = 1
    whole = detection_loss(outputs, kinds, distances)
    weighted = [
        detection_loss(outputs, kinds, distances, torch.tensor(shares)) for shares in ((1.0, 0.0), (0.0, 1.0))
    ]
    torch.testing.assert_close(sum(weighted), whole)
    torch.testing.assert_close(detection_loss(outputs, kinds, distances, torch.ones(2)), whole)
    first = detection_loss(outputs[:1], kinds[:1], distances[:1])
    torch.testing.assert_close(2 * weighted[0], first)  # of two images with as many objects each


def test_a_network_classifies_and_detects():
    logits, outputs = DetectionNetwork(32, 4, 4)(torch.rand(2, 3, 32, 32))
    assert logits.shape == (2, 4) and outputs.shape == (2, 9, 8, 8)
