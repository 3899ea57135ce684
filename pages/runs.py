"""Saved runs: search, replay, compare two, export, delete."""

import streamlit as st

from mlcv_explore.ui import runs

st.title("Saved runs", anchor=False)
st.markdown("Choose a run to replay it step by step; choose a second one to compare the two.")
matches = runs.search()
opened, other = runs.choose(matches)
if opened and other:
    runs.compare(opened, other)
elif opened:
    runs.replay(opened)
