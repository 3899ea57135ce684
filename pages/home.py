"""The wall of cards, drawn from the ideas that exist: question, picture of the recorded
run, verdict with n.
"""

import streamlit as st

from mlcv_explore import idea
from mlcv_explore.ui import evidence, figures, inputs

st.title("Twenty ideas, played with, trained and answered", anchor=False)
st.markdown(
    "Each page opens alive, trains the experiment for real on this machine, and answers its question from"
    " paired runs over seeds: *supported*, *contradicted* or *undecided*. Pick a question."
)
if any(card.slug == "saliency" for card in idea.cards()):
    inputs.upload_and_open("saliency.py", "saliency")
st.caption(f"{len(idea.cards())} of the twenty stand so far.")
section = ""
for card in idea.cards():
    if card.section != section:
        section = card.section
        st.subheader(section, anchor=False)
        tiles = st.grid(min_column_width=320, gap="medium")
    with tiles, st.container(border=True, key=f"card-{card.slug}"):
        pass
        st.markdown(f"**{card.question}**")
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            figures.badge(*evidence.chip(card))
            st.page_link(
                f"{card.slug}.py",
                label=f"Idea {card.number}: {card.title}",
                icon=":material/arrow_forward:",
                icon_position="right",
            )
