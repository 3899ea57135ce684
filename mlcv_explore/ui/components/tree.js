// Cards that open and close. The cards of a branch come first in their row, what lies beneath the opened
// ones after it: hence display: contents and order.
const element = (name, className, ...children) => {
  const made = document.createElement(name);
  made.className = className;
  made.append(...children);
  return made;
};
const percent = share => {
  const whole = Math.round(100 * share);
  return (share > 0 && whole === 0 ? "<1" : share < 1 && whole === 100 ? ">99" : whole) + " %";
};
const setText = (target, text) => {
  if (target.textContent !== text) target.textContent = text;
  target.hidden = !text;
};
const setAttribute = (target, name, value) => {
  if (value === null) target.removeAttribute(name);
  else if (target.getAttribute(name) !== String(value)) target.setAttribute(name, value);
};

function create(list) {
  const root = { list, items: [], path: "", level: 0 };
  const chosen = new Map();  // path → whether the reader has it open
  const itemOf = new WeakMap();  // card → item
  let tabStop = null;  // the one item that the Tab key goes to

  const build = (parent, index) => {
    const path = parent.path + "/" + index, level = parent.level + 1;
    const image = element("img", ""), title = element("span", "title"), text = element("span", "text");
    const filled = element("span", ""), amount = element("span", "amount");
    const share = element("span", "share", element("span", "bar", filled), amount);
    const card = element("div", "card", image, title, text, share);
    const parentName = element("li", "parent"), group = element("ul", "nodes", parentName);
    card.setAttribute("role", "treeitem");
    card.setAttribute("aria-level", level);
    card.setAttribute("aria-posinset", index + 1);
    card.tabIndex = -1;
    group.setAttribute("role", "group");
    group.id = "beneath" + path.replaceAll("/", "-");
    parentName.setAttribute("aria-hidden", "true");
    const row = element("li", "node", card, group);
    row.setAttribute("role", "none");
    const item = {
      parent, path, level, row, card, image, title, text, share, filled, amount, parentName,
      list: group, items: [],
    };
    itemOf.set(card, item);
    return item;
  };
  const showState = item => {
    item.open = item.items.length > 0 && (chosen.get(item.path) ?? item.opened);
    setAttribute(item.card, "aria-expanded", item.items.length ? item.open : null);
    setAttribute(item.card, "aria-owns", item.items.length ? item.list.id : null);
    item.list.hidden = !item.open;
  };
  const markSeveral = parent => {
    parent.list.classList.toggle("several", parent.items.filter(item => item.open).length > 1);
  };
  const render = (item, node, siblings) => {
    setAttribute(item.image, "src", node.image || null);
    setAttribute(item.image, "alt", node.alt);
    item.image.hidden = !node.image;
    setText(item.title, node.title);
    setText(item.parentName, node.title);
    setText(item.text, node.text);
    item.share.hidden = node.share === null;
    if (node.share !== null) {
      item.filled.style.width = 100 * node.share + "%";
      setText(item.amount, percent(node.share));
    }
    setAttribute(item.card, "aria-setsize", siblings);
    setAttribute(item.card, "aria-current", node.marked ? "true" : null);
    item.opened = node.opened;
    fill(item, node.children);
    showState(item);
  };
  const fill = (parent, nodes) => {
    while (parent.items.length > nodes.length) parent.items.pop().row.remove();
    while (parent.items.length < nodes.length) {
      const item = build(parent, parent.items.length);
      parent.items.push(item);
      parent.list.append(item.row);
    }
    nodes.forEach((node, index) => render(parent.items[index], node, nodes.length));
    markSeveral(parent);
  };
  const toggle = (item, open) => {
    if (!item.items.length) return;
    chosen.set(item.path, open);
    showState(item);
    markSeveral(item.parent);
  };
  const visible = (parent = root) => {
    return parent.items.flatMap(item => [item, ...(item.open ? visible(item) : [])]);
  };
  const moveTabStop = item => {
    if (tabStop) tabStop.card.tabIndex = -1;
    tabStop = item;
    if (item) item.card.tabIndex = 0;
  };
  const target = event => itemOf.get(event.target.closest(".card"));
  list.addEventListener("focusin", event => { if (target(event)) moveTabStop(target(event)); });
  list.addEventListener("click", event => {
    const item = target(event);
    if (item) toggle(item, !item.open);
  });
  list.addEventListener("keydown", event => {
    const item = target(event);
    if (!item || event.ctrlKey || event.metaKey || event.altKey) return;
    const shown = visible(), index = shown.indexOf(item);
    let next = null;
    if (event.key === "Enter" || event.key === " ") toggle(item, !item.open);
    else if (event.key === "ArrowDown") next = shown[index + 1];
    else if (event.key === "ArrowUp") next = shown[index - 1];
    else if (event.key === "Home") next = shown[0];
    else if (event.key === "End") next = shown[shown.length - 1];
    else if (event.key === "ArrowRight") { if (item.open) next = item.items[0]; else toggle(item, true); }
    else if (event.key === "ArrowLeft") {
      if (item.open) toggle(item, false);
      else if (item.parent !== root) next = item.parent;
    } else return;
    event.preventDefault();
    if (next) next.card.focus();
  });
  return {
    update(data) {
      list.setAttribute("aria-label", data.label);
      fill(root, data.nodes);
      if (!visible().includes(tabStop)) moveTabStop(root.items[0] || null);
    },
  };
}

export default function ({ data, parentElement }) {
  const list = parentElement.querySelector("[role=tree]");
  list.tree = list.tree || create(list);
  list.tree.update(data);
}
