"""A tree of pictures that opens where the reader clicks or presses a key, its branches
side by side.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

HTML = """
<ul class="nodes" role="tree"></ul>
"""

CSS = """
.nodes {
  display: flex; flex-wrap: wrap; gap: 0.5rem; margin: 0; padding: 3px; list-style: none;
  font-family: var(--st-font); color: var(--st-text-color); font-size: 0.8125rem; line-height: 1.35;
}
.nodes .nodes {
  order: 1; flex: 0 0 100%; box-sizing: border-box; min-width: 0; padding: 0.25rem 0 0.25rem 0.6rem;
  border-left: 1px solid var(--st-border-color);
}
.nodes[role="tree"] { container-type: inline-size; }
@container (max-width: 30rem) { .nodes .nodes { padding-left: 0.35rem; } }
.nodes[hidden] { display: none; }
.node { display: contents; }
.card {
  box-sizing: border-box; width: 7.25rem; padding: 0.4rem; cursor: default; background: var(--st-background-color);
  border: 1px solid var(--st-border-color); border-radius: 6px; overflow-wrap: anywhere;
}
.card[aria-expanded] { cursor: pointer; }
.card[aria-expanded]:hover { border-color: var(--st-primary-color); }
.card[aria-expanded="true"] { background: var(--st-secondary-background-color); }
.card[aria-current] { border-color: var(--st-primary-color); box-shadow: inset 0 0 0 2px var(--st-primary-color); }
.card:focus { outline: none; }
.card:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
.card img { display: block; width: 6rem; max-width: 100%; margin: 0 auto 0.3rem; border-radius: 3px; image-rendering: pixelated; }
.title, .text { display: block; }
.title { font-weight: 600; }
.card[aria-expanded] .title::before { content: "▸ " / ""; font-size: 1.2em; line-height: 1; }
.card[aria-expanded="true"] .title::before { content: "▾ " / ""; }
.text, .from, .amount { color: var(--st-gray-color); }
.share { display: flex; align-items: center; gap: 0.35rem; }
.bar { flex: 1; height: 0.375rem; border-radius: 3px; background: var(--st-border-color); overflow: hidden; }
.bar span { display: block; height: 100%; background: var(--st-primary-color); }
.amount { font-variant-numeric: tabular-nums; }
.from { display: none; flex: 0 0 100%; }
.several > .node > .nodes > .from { display: block; }
.card [hidden] { display: none; }
"""

# A branch's cards come first in their row, what lies beneath the opened ones after it: hence
# display: contents and order.
JS = """
const made = (name, of, ...inside) => {
  const element = document.createElement(name);
  element.className = of;
  element.append(...inside);
  return element;
};
const percent = share => {
  const whole = Math.round(100 * share);
  return (share > 0 && whole === 0 ? "<1" : share < 1 && whole === 100 ? ">99" : whole) + " %";
};

function create(list) {
  const root = { list, items: [], path: "", level: 0 }, chosen = new Map();  // path → whether the reader has it open
  const items = new WeakMap();  // of cards
  let reachable = null;  // the one card that the Tab key goes to

  const build = (parent, place) => {
    const picture = made("img", ""), title = made("span", "title"), text = made("span", "text");
    const filled = made("span", ""), amount = made("span", "amount"), share = made("span", "share", made("span", "bar", filled), amount);
    const card = made("div", "card", picture, title, text, share), from = made("li", "from"), group = made("ul", "nodes", from);
    const path = parent.path + "/" + place;
    card.setAttribute("role", "treeitem");
    card.setAttribute("aria-level", parent.level + 1);
    card.setAttribute("aria-posinset", place + 1);
    card.tabIndex = -1;
    group.setAttribute("role", "group");
    group.id = "beneath" + path.replaceAll("/", "-");
    from.setAttribute("aria-hidden", "true");
    const row = made("li", "node", card, group);
    row.setAttribute("role", "none");
    const item = { parent, path, level: parent.level + 1, row, card, picture, title, text, share, filled, amount, from, list: group, items: [] };
    items.set(card, item);
    return item;
  };
  const say = (element, words) => { if (element.textContent !== words) element.textContent = words; element.hidden = !words; };
  const give = (element, name, value) => {
    if (value === null) element.removeAttribute(name);
    else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
  };
  const show = item => {
    item.open = item.items.length > 0 && (chosen.get(item.path) ?? item.opened);
    give(item.card, "aria-expanded", item.items.length ? item.open : null);
    give(item.card, "aria-owns", item.items.length ? item.list.id : null);
    item.list.hidden = !item.open;
  };
  const count = parent => parent.list.classList.toggle("several", parent.items.filter(item => item.open).length > 1);
  const draw = (item, node, siblings) => {
    give(item.picture, "src", node.picture || null);
    give(item.picture, "alt", node.alt);
    item.picture.hidden = !node.picture;
    say(item.title, node.title);
    say(item.from, node.title);
    say(item.text, node.text);
    item.share.hidden = node.share === null;
    if (node.share !== null) { item.filled.style.width = 100 * node.share + "%"; say(item.amount, percent(node.share)); }
    give(item.card, "aria-setsize", siblings);
    give(item.card, "aria-current", node.marked ? "true" : null);
    item.opened = node.opened;
    fill(item, node.children);
    show(item);
  };
  const fill = (parent, nodes) => {
    while (parent.items.length > nodes.length) parent.items.pop().row.remove();
    while (parent.items.length < nodes.length) {
      const item = build(parent, parent.items.length);
      parent.items.push(item);
      parent.list.append(item.row);
    }
    nodes.forEach((node, place) => draw(parent.items[place], node, nodes.length));
    count(parent);
  };
  const toggle = (item, open) => {
    if (!item.items.length) return;
    chosen.set(item.path, open);
    show(item);
    count(item.parent);
  };
  const visible = (parent = root) => parent.items.flatMap(item => [item, ...(item.open ? visible(item) : [])]);
  const reach = item => {
    if (reachable) reachable.card.tabIndex = -1;
    reachable = item;
    if (item) item.card.tabIndex = 0;
  };
  const of = event => items.get(event.target.closest(".card"));
  list.addEventListener("focusin", event => { if (of(event)) reach(of(event)); });
  list.addEventListener("click", event => { const item = of(event); if (item) toggle(item, !item.open); });
  list.addEventListener("keydown", event => {
    const item = of(event);
    if (!item || event.ctrlKey || event.metaKey || event.altKey) return;
    const shown = visible(), place = shown.indexOf(item);
    let next = null;
    if (event.key === "Enter" || event.key === " ") toggle(item, !item.open);
    else if (event.key === "ArrowDown") next = shown[place + 1];
    else if (event.key === "ArrowUp") next = shown[place - 1];
    else if (event.key === "Home") next = shown[0];
    else if (event.key === "End") next = shown[shown.length - 1];
    else if (event.key === "ArrowRight") { if (item.open) next = item.items[0]; else toggle(item, true); }
    else if (event.key === "ArrowLeft") { if (item.open) toggle(item, false); else if (item.parent !== root) next = item.parent; }
    else return;
    event.preventDefault();
    if (next) next.card.focus();
  });
  return {
    update(data) {
      list.setAttribute("aria-label", data.label);
      fill(root, data.nodes);
      if (!visible().includes(reachable)) reach(root.items[0] || null);
    },
  };
}

export default function ({ data, parentElement }) {
  const list = parentElement.querySelector("[role=tree]");
  list.tree = list.tree || create(list);
  list.tree.update(data);
}
"""

_tree = st.components.v2.component("picture_tree", html=HTML, css=CSS, js=JS)


@dataclass(frozen=True)
class Node:
    """A card of the tree and what lies beneath it."""

    title: str
    text: str = ""  # a muted line under the title
    picture: bytes = b""  # PNG; empty for none; a square or upright one is shown 96 pixels wide
    alt: str = ""  # what the picture shows
    share: float | None = None  # in [0, 1], drawn as a bar with its percentage; None for no bar
    marked: bool = False  # on the path that was taken: a heavier border
    children: tuple["Node", ...] = ()
    opened: bool = False  # at first; what the reader opens or closes stays so


def tree(key: str, roots: Sequence[Node], label: str) -> None:
    """Draw the tree; `label` is its name for those who hear it. Click, Enter or Space
    opens and closes a card, arrow keys go from one to the next.

    What the reader opened is remembered by its place among its siblings, and stays open
    when other nodes are drawn under the same `key`. Raises ValueError for a share
    outside [0, 1].
    """
    _tree(key=key, data={"label": label, "nodes": [_plain(node) for node in roots]})


def _plain(node: Node) -> dict[str, Any]:
    if node.share is not None and not 0 <= node.share <= 1:
        raise ValueError(f"The share of {node.title!r} must be between 0 and 1, got {node.share}.")
    picture = "data:image/png;base64," + base64.b64encode(node.picture).decode() if node.picture else ""
    return {
        "title": node.title,
        "text": node.text,
        "picture": picture,
        "alt": node.alt,
        "share": None if node.share is None else float(node.share),
        "marked": bool(node.marked),
        "children": [_plain(child) for child in node.children],
        "opened": bool(node.opened),
    }
