"""Every finished run: search, replay, compare two, take along, delete."""

import streamlit as st

from mlcv_explore.ui import archive

st.title("Runs that were kept", anchor=False)
st.markdown("Choose a run to replay it step by step; choose a second one to compare the two.")
found = archive.search()
opened, other = archive.choose(found)
if opened and other:
    archive.compare(opened, other)
elif opened:
    archive.replay(opened)
