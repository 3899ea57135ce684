"""The page of label noise: what its data are, and both studies side by side."""

import json
from functools import partial

from mlcv_explore import idea
from tests import opening
from tests.opening import claims, words

SLUG = "label_noise"
opened = partial(opening.opened, SLUG)


def test_the_demo_names_the_data_of_the_recorded_run():
    app = opened()
    assert not app.exception
    assert "Data: CIFAR-10, photographs as features of an ImageNet network." in words(app)


def test_the_answer_shows_digits_and_photographs_side_by_side():
    record = json.loads((idea.ASSETS / SLUG / "photographs.json").read_text(encoding="utf-8"))
    app = opened(act="Answer")
    statuses = [estimate["status"] for verdict in record["verdicts"] for estimate in verdict["estimates"]]
    assert not app.exception
    beside = claims(app)["On photographs' features: status, effect"]
    assert [text.split(",")[0] for text in beside] == statuses
    assert all(text.endswith("n = 20") for text in beside)
    assert any("--study photographs" in code.value for code in app.get("code"))
    app.session_state[f"{SLUG}-details"] = True
    app.run()
    heads = {head for table in app.dataframe for head in table.value}
    assert not app.exception and "Photographs: optimiser, rate" in heads
    assert len([head for head in heads if head.startswith("Tuned arms")]) == 2
