"""The frame round every page: the menu, drawn from the ideas that exist, and the line
about this machine.
"""

import streamlit as st

from mlcv_explore import idea
from mlcv_explore.ui import page, server

# A picture of our own: icons of the menu would be fetched from elsewhere to stand in the browser's tab
st.set_page_config(page_title="mlcv-explore", page_icon=str(idea.ASSETS / "icon.svg"), layout="wide")
menu: dict[str, list[st.Page]] = {"": [st.Page("home.py", title="All ideas", default=True)]}
for card in idea.cards():
    menu.setdefault(card.section, []).append(st.Page(f"{card.slug}.py", title=card.title, url_path=card.slug))
menu["Kept"] = [st.Page("runs.py", title="Runs", url_path="runs")]
chosen = st.navigation(menu, expanded=True)
page.machine()
chosen.run()
server.painted()
