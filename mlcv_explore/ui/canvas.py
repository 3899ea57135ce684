"""A canvas to paint a mask on: mouse, touch or keyboard, a few pixels a side, its text
sent to the server while it is painted.
"""

from collections.abc import Sequence

import streamlit as st

HTML = """
<div class="painter">
  <div class="regions" role="radiogroup" aria-label="What to paint"></div>
  <canvas tabindex="0" role="application" aria-roledescription="canvas to paint on"></canvas>
  <div class="tools">
    <label class="size">
      <span>Size</span><input type="range" min="1" step="1" aria-label="Size of what is painted, in pixels"><output></output>
    </label>
    <button type="button" class="undo">Undo</button>
    <button type="button" class="clear">Clear</button>
  </div>
</div>
"""

CSS = """
.painter { font-family: var(--st-font); color: var(--st-text-color); font-size: 0.875rem; max-width: 26rem; }
.regions { display: flex; flex-wrap: wrap; gap: 0.25rem; margin-bottom: 0.5rem; }
.regions label {
  position: relative; display: inline-flex; align-items: center; gap: 0.35rem; padding: 0.2rem 0.5rem;
  border: 1px solid var(--st-border-color); border-radius: 6px; background: var(--st-background-color);
}
.regions label:has(input:checked) { border-color: var(--st-primary-color); box-shadow: inset 0 0 0 1px var(--st-primary-color); }
.regions label:has(input:focus-visible), canvas:focus-visible, button:focus-visible, input:focus-visible {
  outline: 2px solid var(--st-primary-color); outline-offset: 2px;
}
.regions input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: pointer; }
.swatch { width: 0.9rem; height: 0.9rem; border-radius: 3px; border: 1px solid var(--st-border-color); }
canvas {
  display: block; width: 100%; aspect-ratio: 1; image-rendering: pixelated; touch-action: none; cursor: crosshair;
  border: 1px solid var(--st-border-color); border-radius: 6px; box-sizing: border-box;
}
.tools { display: flex; align-items: center; gap: 0.5rem; margin-top: 0.5rem; }
.size { display: inline-flex; align-items: center; gap: 0.5rem; flex: 1; min-width: 0; }
.size input { flex: 1; min-width: 3rem; accent-color: var(--st-primary-color); }
.size output { min-width: 1.5rem; text-align: right; font-variant-numeric: tabular-nums; }
button {
  font: inherit; color: var(--st-text-color); background: var(--st-background-color); cursor: pointer;
  border: 1px solid var(--st-border-color); border-radius: 6px; padding: 0.25rem 0.75rem;
}
button:hover { border-color: var(--st-primary-color); color: var(--st-primary-color); }
"""

# A stamp covers the pixels that the generated scenes give a silhouette of its size; a stroke drags it along.
JS = """
const LARGEST = 20, KEPT = 60, PAUSE = 100;  // pixels; strokes to undo; milliseconds between two messages while painting
const covers = {
  circle: (row, column, size) => row * row + column * column <= size * size,
  square: () => true,
  triangle: (row, column, size) => 2 * Math.abs(column) <= row + size + 1,
  cross: (row, column, size) => 3 * Math.abs(row) <= size || 3 * Math.abs(column) <= size,
  ring: (row, column, size) => row * row + column * column <= size * size && 4 * (row * row + column * column) >= size * size,
};

function create(root) {
  const canvas = root.querySelector("canvas"), drawing = canvas.getContext("2d");
  const regions = root.querySelector(".regions"), slider = root.querySelector("input[type=range]"), shown = root.querySelector("output");
  let side = 0, codes = [], palette = [], stamps = [], token = null, region = 0, send = () => {};
  let history = [], last = null, hover = null, sent = "", timer = null, sentAt = 0;

  const size = () => stamps[region].size || Number(slider.value);
  const stamp = (row, column) => {
    const inside = [], own = size(), cover = covers[stamps[region].cover];
    const top = Math.round(row - (own - 1) / 2), left = Math.round(column - (own - 1) / 2);
    for (let r = 0; r < own; r++) for (let c = 0; c < own; c++) {
      if (!cover(2 * r + 1 - own, 2 * c + 1 - own, own)) continue;
      const y = top + r, x = left + c;
      if (y >= 0 && x >= 0 && y < side && x < side) inside.push(y * side + x);
    }
    return inside;
  };
  const draw = () => {
    if (!side) return;
    const pixels = drawing.createImageData(side, side);
    const put = (place, colour, share) => {
      for (let channel = 0; channel < 3; channel++) {
        const old = pixels.data[4 * place + channel];
        pixels.data[4 * place + channel] = old + share * (colour[channel] - old);
      }
      pixels.data[4 * place + 3] = 255;
    };
    codes.forEach((code, place) => put(place, palette[code], 1));
    if (hover) stamp(...hover).forEach(place => put(place, palette[region], 0.5));
    drawing.putImageData(pixels, 0, 0);
  };
  const tell = now => {
    clearTimeout(timer);
    const wait = sentAt + PAUSE - performance.now();
    if (!now && wait > 0) { timer = setTimeout(() => tell(true), wait); return; }
    const text = token + ":" + codes.join("");
    if (text !== sent) { sent = text; sentAt = performance.now(); send(text); }
  };
  const remember = () => { history.push(codes.slice()); if (history.length > KEPT) history.shift(); };
  const paint = (row, column) => { stamp(row, column).forEach(place => { codes[place] = region; }); };
  const line = (from, to) => {
    const steps = Math.max(1, Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1])));
    for (let step = 1; step <= steps; step++) paint(from[0] + (to[0] - from[0]) * step / steps, from[1] + (to[1] - from[1]) * step / steps);
  };
  const where = event => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientY - box.top) / box.height * side - 0.5, (event.clientX - box.left) / box.width * side - 0.5];
  };
  canvas.addEventListener("pointerdown", event => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    remember(); last = where(event); hover = null; paint(...last); draw(); tell(false);
  });
  canvas.addEventListener("pointermove", event => {
    const at = where(event);
    if (last) { line(last, at); last = at; tell(false); } else if (event.pointerType === "mouse") hover = at;
    draw();
  });
  const lift = () => { if (last) { last = null; tell(true); } };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("pointerleave", () => { if (!last) { hover = null; draw(); } });
  canvas.addEventListener("blur", () => { hover = null; draw(); });
  canvas.addEventListener("keydown", event => {
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const middle = [Math.floor(side / 2), Math.floor(side / 2)];
    if (event.key in moves) {
      const [row, column] = hover || middle;
      hover = [row + moves[event.key][0], column + moves[event.key][1]].map(value => Math.min(side - 1, Math.max(0, Math.round(value))));
    } else if (event.key === " " || event.key === "Enter") {
      hover = hover || middle; remember(); paint(...hover); tell(true);
    } else return;
    event.preventDefault(); draw();
  });
  const undo = () => { if (history.length) { codes = history.pop(); draw(); tell(true); } };
  root.querySelector(".undo").addEventListener("click", undo);
  root.querySelector(".clear").addEventListener("click", () => { remember(); codes = codes.map(() => 0); draw(); tell(true); });
  slider.addEventListener("input", () => { shown.textContent = slider.value; });

  const choices = data => {
    regions.replaceChildren(...data.names.map((name, code) => {
      const label = document.createElement("label"), input = document.createElement("input"), swatch = document.createElement("span");
      input.type = "radio"; input.name = "region"; input.value = code; input.checked = code === region;
      input.addEventListener("change", () => { region = code; slider.disabled = Boolean(stamps[code].size); });
      swatch.className = "swatch"; swatch.style.background = "rgb(" + data.palette[code].join(",") + ")";
      label.append(input, swatch, name);
      return label;
    }));
  };
  return {
    update(data, setState) {
      send = setState;
      if (side !== data.side) {
        side = data.side; canvas.width = canvas.height = side;
        palette = data.palette; stamps = data.stamps; region = data.region;
        slider.max = LARGEST; slider.value = data.size; shown.textContent = data.size;
        canvas.setAttribute("aria-label", data.words);
        choices(data);
      }
      if (token !== data.token) {
        token = data.token; codes = Array.from(data.start, Number); history = []; last = null; sent = "";
        draw();
      }
    },
  };
}

export default function ({ data, parentElement, setStateValue }) {
  const canvas = parentElement.querySelector("canvas");
  canvas.painter = canvas.painter || create(parentElement);
  canvas.painter.update(data, text => setStateValue("painted", text));
}
"""

_canvas = st.components.v2.component("mask_canvas", html=HTML, css=CSS, js=JS)


def canvas(
    key: str,
    start: str,
    token: str,
    side: int,
    names: Sequence[str],
    palette: Sequence[Sequence[int]],
    stamps: Sequence[tuple[str, int]],
    region: int,
    size: int,
    words: str = "Mask to paint. Arrow keys move the stamp, space paints.",
) -> object:
    """The canvas, and what it last sent for this `token`: text of side² digits if its
    sender is honest, anything at all if not; else `start`.

    It begins with the mask `start` and again whenever `token` changes. A region's stamp
    is (circle, square, triangle, cross or ring; its size in pixels, 0 where the reader
    sets it); `region` and `size` are chosen at first. `words` say what it is to who
    cannot see it.
    """
    data = {
        "start": start,
        "token": token,
        "side": side,
        "names": list(names),
        "palette": [list(map(int, colour)) for colour in palette],
        "stamps": [{"cover": cover, "size": own} for cover, own in stamps],
        "region": region,
        "size": size,
        "words": words,
    }
    sent = _canvas(key=key, data=data, default={"painted": ""}, on_painted_change=_nothing).painted
    if not isinstance(sent, str):
        return sent
    of, _, mask = sent.rpartition(":")
    return mask if of == token else start


def _nothing() -> None:
    """A state that may change needs a callback; the script's next run reads it."""
