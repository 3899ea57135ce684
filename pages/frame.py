"""The frame round every page: the menu, drawn from the ideas that exist, and the line
about this machine.
"""

import streamlit as st

from mlcv_explore import idea
from mlcv_explore.ui import server, theme

menu: dict[str, list[st.Page]] = {"": [st.Page("home.py", title="All ideas", default=True)]}
for card in idea.cards():
    menu.setdefault(card.section, []).append(st.Page(f"{card.slug}.py", title=card.title, url_path=card.slug))
menu["Saved"] = [st.Page("runs.py", title="Saved runs", url_path="runs")]
chosen = st.navigation(menu, expanded=True)
# An icon of our own: those of the menu would be fetched from elsewhere for the browser's tab
icon = str(idea.ASSETS / "icon.svg")
st.set_page_config(page_title=f"{chosen.title} · mlcv-explore", page_icon=icon, layout="wide")
theme.style()
theme.machine()
chosen.run()
server.painted()
