"""Saliency's page: links to maps, what is shown of them, and the tests beside them."""

import re

from opening import finished, opened, words
from streamlit.testing.v1 import AppTest

from mlcv_explore.ideas.saliency import RHOS


def test_a_link_to_maps_opens_on_them() -> None:
    app = opened("saliency", photograph="coffee", methods="Gradient", model="cifar10/0", target="dog")
    assert not app.exception and not app.warning
    assert app.segmented_control(key="saliency-photograph").value == "coffee"
    assert app.selectbox(key="saliency-target").value == "dog"
    assert app.multiselect(key="saliency-methods").value == ["gradient"]
    assert "Prediction: " in words(app) and "Explained: dog" in words(app)


def test_a_photograph_is_explained_by_the_imagenet_model_on_the_crop_it_reads() -> None:
    methods = ["Grad-CAM", "Guided Backprop"]
    app = opened("saliency", photograph="coffee", methods=methods, removed="0.1")
    text = words(app)
    assert not app.exception and not app.error and app.selectbox(key="saliency-model").value == "imagenet"
    assert "**espresso** 95." in text and "224 × 224 pixels of the framed crop" in text
    assert "Explained: espresso" in text and "Guided Backprop has a rule" not in text
    app.toggle(key="saliency-whole").set_value(True).run()
    text = words(app)
    assert not app.exception and "**espresso** 89." in text and "224 × 224 pixels." in text
    app.button(key="saliency-model-other").click().run()
    assert not app.exception and app.selectbox(key="saliency-model").value == "cifar10"
    assert app.button(key="saliency-model-other").label == "Use imagenet"
    assert "Perhaps none of its classes" in words(app) and "Perhaps none" not in text
    assert "saliency-whole" not in {toggle.key for toggle in app.toggle}


def test_a_refused_method_states_why_in_its_tile_and_the_others_are_shown() -> None:
    methods = ["Guided Backprop", "Gradient"]
    app = finished(opened("saliency", photograph="coffee", methods=methods, implementation="captum"))
    text = words(app)
    assert not app.exception and not app.error and "Explained: espresso" in text
    assert "**Guided Backprop (Captum)**" in text and "this network has none" in text
    assert app.selectbox(key="saliency-by").options == ["Gradient (Captum)"]


def test_a_check_that_captum_cannot_give_states_why_in_its_place() -> None:
    app = finished(opened("saliency", photograph="coffee", methods="DeepLift", check="true"))
    text = words(app)
    assert not app.exception and "**DeepLift (Captum)**" in text and "no rule for ReLU6" in text
    assert "completeness error 0.0%" in text.replace("\u00a0", " ") and "largest difference" not in text
    assert app.selectbox(key="saliency-by").options == ["DeepLift"]


def test_values_of_a_link_that_do_not_exist_are_named() -> None:
    app = opened("saliency", act="Read", model="cifar11", methods="Grad-CAM", compare="scene-99")
    text = words(app)
    assert not app.exception and "model must be one of" in text and "did you mean 'cifar10" in text
    assert "compare must be one of" in text and "methods must" not in text


def test_a_scene_is_explained_by_a_model_of_scenes_beside_another_with_scores() -> None:
    app = opened("saliency", source="Scene", scene="3", compare="scene-5", methods="Gradient", scores="true")
    text = words(app)
    assert not app.exception and not app.warning and app.selectbox(key="saliency-model").value == "scenes/0"
    assert "Scene 3: a" in text and "Scene 5: a" in text and text.count("on the object") == 2
    scores = app.dataframe[-1].value
    assert list(scores["Image"]) == ["scene-3", "scene-5"] and list(scores["Map"]) == ["Gradient"] * 2
    assert "Maximum on the object" in scores and "Completeness error" not in scores


def test_maps_that_do_not_depend_on_the_weights_are_named_at_first_paint() -> None:
    app = opened("saliency", methods=["Gradient", "Sobel edges"], model="cifar10/0")
    (warning,) = app.warning
    assert not app.exception and "8 layers randomised: Sobel edges." in warning.value
    app.slider(key="saliency-randomised").set_value(4).run()
    (warning,) = app.warning
    assert not app.exception and "4 layers randomised: Sobel edges." in warning.value
    correlations = app.dataframe[0].value
    assert list(correlations["Map"]) == ["Gradient", "Sobel edges"] and correlations["Signed"][1] == 1
    assert correlations["Absolute"][0] < 0.9


def test_the_curve_is_that_of_the_map_that_is_shown() -> None:
    app = opened("saliency", methods="Gradient", by="Gradient", model="cifar10/0")
    curves = [app.get("vega_lite_chart")[-1].proto.data.data]
    app.slider(key="saliency-randomised").set_value(3).run()
    curves.append(app.get("vega_lite_chart")[-1].proto.data.data)
    assert not app.exception and "3 layers randomised" in words(app) and curves[0] != curves[1]


def test_uncertainty_and_a_contrast_of_one_class_are_explained_in_a_sentence() -> None:
    # as a link of an earlier version has it
    app = opened("saliency", methods="Gradient", model="cifar10/0", doubt="draws")
    assert not app.exception and "no other draws or seeds" in words(app)
    assert "doubt is now called uncertainty" in words(app)
    app.selectbox(key="saliency-target").set_value("cat").run()
    app.selectbox(key="saliency-minus").set_value("cat").run()
    assert not app.exception and "A contrast needs two classes; both are cat." in words(app)
    app.selectbox(key="saliency-minus").set_value("dog").run()
    assert not app.exception and "Explained: cat − dog" in words(app)


def test_without_an_image_or_a_method_the_page_states_what_to_do() -> None:
    app = opened("saliency", source="Upload")
    assert not app.exception and "Choose an image to start" in words(app)
    app = opened("saliency", methods="Gradient", model="cifar10/0")
    app.multiselect(key="saliency-methods").set_value([]).run()
    assert not app.exception and "Choose a method" in words(app)


def test_the_page_offers_captum() -> None:
    app = finished(
        opened("saliency", methods=["Gradient", "RISE"], model="cifar10/0", implementation="captum")
    )
    text = words(app)
    assert not app.exception and not app.error and "by Captum where it has the method" in text
    assert "**Gradient (Captum)**" in text and "**RISE**" in text and "**Gradient**" not in text


def test_a_check_against_captum_shows_both_maps_and_their_difference() -> None:
    app = opened("saliency", methods=["Gradient", "RISE"], model="cifar10/0", check="true")
    assert "**Gradient**" in words(app)
    text = words(finished(app))
    (share,) = re.findall(r"largest.difference (\S+) of", text)
    assert not app.exception and "**Gradient (Captum)**" in text and float(share) < 1e-3
    assert app.selectbox(key="saliency-by").options == ["Gradient", "Gradient (Captum)", "RISE"]


def answer_and_run() -> None:
    import numpy as np
    import streamlit as st

    from mlcv_explore.ideas.saliency import ARMS, MEASURES, Frame, SaliencyConfig, idea
    from mlcv_explore.ui import evidence
    from pages import saliency

    if "composites" in st.session_state:
        config, none = SaliencyConfig(dataset="composites", explained_scenes=1), np.full(2, np.nan)
        measured, shown = np.full((2, len(ARMS), len(MEASURES)), 0.5), np.ones((2, len(ARMS), 8, 8), np.int8)
        saliency.draw([Frame(1, 1, none, none, none, measured, shown)], config, (0, 1))
        return
    saliency.answer(evidence.table("saliency"))
    saliency.draw(list(idea.run(idea.quick, (0,))), idea.quick, (0,))


def test_answer_shows_every_map_and_whether_the_rankings_agree_and_a_run_every_arm_it_has() -> None:
    app = AppTest.from_function(answer_and_run, default_timeout=100)
    app.query_params["saliency-act"] = "Read"  # which importing the page opens
    app.run()
    assert not app.exception and len(app.get("vega_lite_chart")) >= len(RHOS) + 3
    tables = [table.value for table in app.dataframe]
    agreement = next(table for table in tables if "Kendall's τ" in table)
    assert agreement["Rankings"][0] == "faithful and on the true cause"
    arms = next(table for table in tables if "Arm" in table)
    assert {"True mask", "Image-only network", "Classifier"} <= set(arms["Arm"])
    photographs = next(table for table in tables if "Evaluations" in table)
    assert photographs["Map"][len(photographs) - 1] == "True mask" and len(photographs) == 17
    learned = next(table for table in tables if "On the tag, where it is the cause" in table)
    assert list(learned["Map"]) == ["Generated map", "Best single input", "Image-only network"]
    assert "Maps of one scene, first seed" in words(app) and "Image-only network." in words(app)
    # nothing is trained on composites and there is no tag: two charts without a curve
    app.session_state["composites"] = True
    app.run()
    on_object, pointing = (chart.proto.spec for chart in app.get("vega_lite_chart"))
    assert not app.exception and "Maps of one scene, first seed" in words(app)
    assert "share of the map on the object" in on_object and "Pointing game" in pointing
