// A grid of pixels to draw on. A stamp covers the pixels that the generated scenes give a silhouette of
// its size; a stroke drags it along. Sent to the server: "<token>:<one digit a pixel, row by row>".
const MAX_SIZE = 20;  // pixels
const MAX_UNDO = 60;  // strokes
const PAUSE = 100;  // milliseconds between two messages during a stroke
const covers = {
  circle: (row, column, size) => row * row + column * column <= size * size,
  square: () => true,
  triangle: (row, column, size) => 2 * Math.abs(column) <= row + size + 1,
  cross: (row, column, size) => 3 * Math.abs(row) <= size || 3 * Math.abs(column) <= size,
  ring: (row, column, size) => {
    const squared = row * row + column * column;
    return squared <= size * size && 4 * squared >= size * size;
  },
};

function create(root) {
  const canvas = root.querySelector("canvas"), context = canvas.getContext("2d");
  const brushes = root.querySelector(".brushes"), position = root.querySelector(".position");
  const slider = root.querySelector("input[type=range]"), output = root.querySelector("output");
  let side = 0, codes = [], names = [], palette = [], stamps = [], token = null, brush = 0;
  let setState = () => {}, history = [], last = null, cursor = null, sent = "", timer = null, sentAt = 0;

  const stamped = (row, column) => {
    const size = stamps[brush].size || Number(slider.value), cover = covers[stamps[brush].cover];
    const top = Math.round(row - (size - 1) / 2), left = Math.round(column - (size - 1) / 2);
    const inside = [];
    for (let r = 0; r < size; r++) for (let c = 0; c < size; c++) {
      if (!cover(2 * r + 1 - size, 2 * c + 1 - size, size)) continue;
      const y = top + r, x = left + c;
      if (y >= 0 && x >= 0 && y < side && x < side) inside.push(y * side + x);
    }
    return inside;
  };
  const render = () => {
    if (!side) return;
    const pixels = context.createImageData(side, side);
    const blend = (index, colour, share) => {
      for (let channel = 0; channel < 3; channel++) {
        const old = pixels.data[4 * index + channel];
        pixels.data[4 * index + channel] = old + share * (colour[channel] - old);
      }
      pixels.data[4 * index + 3] = 255;
    };
    codes.forEach((code, index) => blend(index, palette[code], 1));
    if (cursor) stamped(...cursor).forEach(index => blend(index, palette[brush], 0.5));
    context.putImageData(pixels, 0, 0);
  };
  const send = now => {
    clearTimeout(timer);
    const wait = sentAt + PAUSE - performance.now();
    if (!now && wait > 0) { timer = setTimeout(() => send(true), wait); return; }
    const text = token + ":" + codes.join("");
    if (text !== sent) { sent = text; sentAt = performance.now(); setState(text); }
  };
  const remember = () => { history.push(codes.slice()); if (history.length > MAX_UNDO) history.shift(); };
  const paint = (row, column) => { stamped(row, column).forEach(index => { codes[index] = brush; }); };
  const paintLine = (from, to) => {
    const steps = Math.max(1, Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1])));
    for (let step = 1; step <= steps; step++) {
      paint(from[0] + (to[0] - from[0]) * step / steps, from[1] + (to[1] - from[1]) * step / steps);
    }
  };
  const locate = event => {
    const box = canvas.getBoundingClientRect();
    const row = (event.clientY - box.top) / box.height, column = (event.clientX - box.left) / box.width;
    return [row * side - 0.5, column * side - 0.5];
  };
  const announce = text => { position.textContent = text; };

  canvas.addEventListener("pointerdown", event => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    remember(); last = locate(event); cursor = null; paint(...last); render(); send(false);
  });
  canvas.addEventListener("pointermove", event => {
    const at = locate(event);
    if (last) { paintLine(last, at); last = at; send(false); }
    else if (event.pointerType === "mouse") cursor = at;
    render();
  });
  const lift = () => { if (last) { last = null; send(true); } };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("pointerleave", () => { if (!last) { cursor = null; render(); } });
  canvas.addEventListener("blur", () => { cursor = null; render(); });
  canvas.addEventListener("keydown", event => {
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const [row, column] = cursor || [Math.floor(side / 2), Math.floor(side / 2)];
    if (event.key in moves) {
      const moved = [row + moves[event.key][0], column + moves[event.key][1]];
      cursor = moved.map(value => Math.min(side - 1, Math.max(0, Math.round(value))));
      const under = names[codes[cursor[0] * side + cursor[1]]];
      announce(`Row ${cursor[0] + 1}, column ${cursor[1] + 1}: ${under}`);
    } else if (event.key === " " || event.key === "Enter") {
      cursor = [row, column]; remember(); paint(row, column); send(true);
      announce(`Drew ${names[brush]}`);
    } else return;
    event.preventDefault(); render();
  });
  root.querySelector(".undo").addEventListener("click", () => {
    if (!history.length) { announce("Nothing to undo"); return; }
    codes = history.pop(); render(); send(true); announce("Undone");
  });
  root.querySelector(".clear").addEventListener("click", () => {
    remember(); codes = codes.map(() => 0); render(); send(true); announce("Cleared");
  });
  slider.addEventListener("input", () => { output.textContent = slider.value; });

  const offer = () => {
    brushes.replaceChildren(...names.map((name, code) => {
      const label = document.createElement("label"), input = document.createElement("input");
      const swatch = document.createElement("span");
      input.type = "radio"; input.name = "brush"; input.value = code; input.checked = code === brush;
      input.addEventListener("change", () => { brush = code; slider.disabled = Boolean(stamps[code].size); });
      swatch.className = "swatch"; swatch.style.background = `rgb(${palette[code].join(",")})`;
      label.append(input, swatch, name);
      return label;
    }));
    slider.disabled = Boolean(stamps[brush].size);
  };
  return {
    update(data, setter) {
      setState = setter;
      if (side !== data.side) {
        side = data.side; canvas.width = canvas.height = side;
        ({ names, palette, stamps, brush } = data);
        slider.max = MAX_SIZE; slider.value = data.size; output.textContent = data.size;
        offer();
      }
      canvas.setAttribute("aria-label", data.label);
      if (token !== data.token) {
        token = data.token; codes = Array.from(data.start, Number); history = []; last = null; sent = "";
        render();
      }
    },
  };
}

export default function ({ data, parentElement, setStateValue }) {
  const canvas = parentElement.querySelector("canvas");
  canvas.painter = canvas.painter || create(parentElement);
  canvas.painter.update(data, text => setStateValue("painted", text));
}
