"use strict";
// Draws the plan. All that comes from the model goes through `textContent` or `fillText`.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const KINDS = {
  shared: ["shared", "blocks of the checkpoint itself"],
  copied: ["copied", "same values, written again"],
  converted: ["converted", "another type than in the checkpoint"],
  generated: ["computed", "not in the checkpoint"],
  header: ["header", "metadata and tokenizer"],
  padding: ["padding", "zeros between tensors"],
};

function el(tag, props = {}, ...children) {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children);
  return node;
}
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const hue = (file) => `hsl(${(file * 137.508 + 205) % 360} 52% 55%)`;
const grouped = (n) => n.toLocaleString("en-US").replaceAll(",", "\u202f");

function size(n) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  while (n >= 999.5 && i < units.length - 1) { n /= 1000; i++; }
  return (i && n < 100 ? n.toPrecision(3) : Math.round(n)) + " " + units[i];
}
function percent(part, whole) {
  const p = 100 * part / Math.max(whole, 1);
  if (part === 0) return "0 %";
  if (part === whole) return "100 %";
  if (p < 0.01) return "< 0.01 %";
  if (p > 99.99) return "> 99.99 %";
  return p.toFixed(p < 1 || p > 99 ? 2 : 1) + " %";
}
const count = (n, what) => `${grouped(n)} ${what}${n === 1 ? "" : "s"}`;
const name = (text) => el("span", { className: "name", textContent: text });
const cell = (content, number) => el("td", { className: number ? "number" : "" }, content);
const heads = (...titles) => el("thead", {}, el("tr", {}, ...titles.map((t) =>
  el("th", { textContent: t.replace(">", ""), className: t.startsWith(">") ? "number" : "" }))));

// Bytes of all outputs by kind; the totals count what is computed as converted.
const sums = data.kinds.map(() => 0);
for (const file of data.outputs) {
  let at = 0;
  file.ranges = file.tiles.map((tile) => {
    const many = Array.isArray(tile[0]);
    const bytes = many ? tile[0] : data.kinds.map((_, kind) => kind === tile[1] ? tile[0] : 0);
    const len = bytes.reduce((a, b) => a + b);
    bytes.forEach((n, kind) => sums[kind] += n);
    const range = many ? { at, len, bytes, file: tile[1], steps: tile[2] }
      : { at, len, bytes, kind: tile[1], file: tile[2], offset: tile[3], reason: tile[4], steps: 1 };
    at += len;
    return range;
  });
  // Sums of all before, to know the mix of any stretch at once.
  file.before = [data.kinds.map(() => 0)];
  for (const range of file.ranges) file.before.push(file.before.at(-1).map((n, kind) => n + range.bytes[kind]));
}
const explanations = Object.fromEntries(data.reasons.map((r) => [r.reason, r.explanation]));

/** Index of the last item that starts at or before `at`. */
function find(items, at, start) {
  let low = 0, high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (start(items[middle]) <= at) low = middle + 1; else high = middle;
  }
  return low - 1;
}
function tensorAt(file, at) {
  const tensor = file.tensors[find(file.tensors, at, (t) => t[3])];
  return tensor && at < tensor[3] + tensor[4] ? tensor : undefined;
}
/** Bytes of each kind before offset `at`. */
function bytesBefore(file, at) {
  const i = Math.max(find(file.ranges, at, (r) => r.at), 0);
  const range = file.ranges[i], part = Math.min((at - range.at) / range.len, 1);
  return file.before[i].map((n, kind) => n + range.bytes[kind] * part);
}

function summary() {
  const { total, cloned } = data.bytes;
  $("title").textContent = data.title || data.model;
  $("path").textContent = data.model;
  document.title = "ggraft plan: " + $("title").textContent;
  const files = count(data.outputs.length, "file");
  $("verdict").textContent = data.refusal && cloned === 0
    ? `${size(total)} in ${files}, all of it written: ${data.refusal}.`
    : `${percent(cloned, total)} of ${size(total)} in ${files} would be shared with the checkpoint; `
      + `${size(total - cloned)} must be written.`;
  const shown = data.kinds.map((kind, i) => [kind, sums[i]]).filter(([, n]) => n > 0);
  for (const [kind, n] of shown) {
    const part = el("div", { title: `${KINDS[kind][0]}: ${size(n)}` });
    part.style.cssText = `flex: ${n / total} 1 0; background: var(--${kind})`;
    $("totals").append(part);
    const mark = el("i");
    mark.style.background = `var(--${kind})`;
    $("legend").append(el("span", { title: KINDS[kind][1] }, mark, KINDS[kind][0] + " ",
      el("small", { textContent: `${size(n)}, ${percent(n, total)}` })));
  }
  for (const node of document.querySelectorAll(".block")) node.textContent = grouped(data.block);
}

/** A command with a button that copies it. */
function command(text) {
  const button = el("button", { type: "button", textContent: "copy", title: "Copy: " + text });
  button.addEventListener("click", async () => {
    const said = button.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "copied";
    } catch {
      // Pages from the disk may not be allowed to; selected text can still be copied by hand.
      getSelection().selectAllChildren(code);
      button.textContent = "selected";
    }
    setTimeout(() => button.textContent = said, 1500);
  });
  const code = el("code", { textContent: text });
  return el("span", { className: "command" }, code, button);
}
function commands(way) {
  const convert = ["ggraft convert", data.word, way.flags].filter(Boolean).join(" ");
  return el("div", { className: "commands" }, ...(way.align ? [command(data.align)] : []), command(convert));
}
function instruction(way) {
  const parts = [];
  if (way.align) parts.push("after ", el("code", { textContent: data.align }));
  if (way.flags) parts.push(way.align ? ", with " : "with ", el("code", { textContent: way.flags }));
  return el("span", {}, ...parts);
}
function advice() {
  if (data.advice.length === 0) return $("advice-section").remove();
  const row = (now, how, caveat, shared, total, extents, files) => {
    const bar = el("i");
    bar.style.width = 100 * shared / total + "%";
    return el("tr", { className: now ? "now" : "" },
      el("td", {}, how, el("div", { className: "hint", textContent: caveat })),
      el("td", {}, el("div", { className: "meter" }, bar)),
      cell(percent(shared, total), true), cell(size(total - shared), true), cell(grouped(extents), true),
      cell(grouped(files), true));
  };
  const caveat = (a) => a.worthwhile ? a.caveat : `not worth rewriting ${size(a.rewritten)}`;
  const rows = data.advice.map((a) => row(false, commands(a), caveat(a), a.shared, a.total, a.extents, a.files));
  rows.unshift(row(true, "This plan", "", data.bytes.cloned, data.bytes.total, data.extents, data.outputs.length));
  $("advice").append(heads("How", "", ">Shared", ">To write", ">Extents", ">Files"), el("tbody", {}, ...rows));
  $("advice-intro").textContent = "The same model planned in other ways. Add the flags of this plan, if it had any.";
}

function reasons() {
  if (data.reasons.length === 0) return $("reasons-section").remove();
  const rows = data.reasons.map((r) => el("tr", {}, cell(size(r.bytes), true),
    cell(percent(r.bytes, data.bytes.total), true), cell(grouped(r.tensors), true), cell(r.explanation)));
  $("reasons").append(heads(">Bytes", ">Of all", ">Tensors", "Because"), el("tbody", {}, ...rows));
}

/** Why this model is, or is not, instant. */
function why() {
  const of = (...ids) => data.reasons.filter((r) => ids.includes(r.reason)).reduce((n, r) => n + r.bytes, 0);
  const { total, cloned } = data.bytes;
  const misplaced = of("off-phase", "off-grid"), small = total / 100;
  const worthwhile = data.advice.filter((a) => a.worthwhile);
  const way = worthwhile.find((a) => a.align && !a.flags) ?? worthwhile.find((a) => !a.align && a.way !== "relaxed");
  const parts = [];
  if (of("cannot-share") > small) {
    parts.push(`Here nothing of that applies to ${size(of("cannot-share"))}: ${explanations["cannot-share"]}.`);
  } else if (misplaced > small) {
    parts.push(`Of this model, ${size(misplaced)} lie where no order of tensors brings their phases into line`);
    if (of("off-grid") > small) parts.push(`; ${size(of("off-grid"))} do not even begin on the grid`);
    parts.push(". ");
  } else if (cloned > total * 0.9) {
    parts.push("Of this model, nearly everything lies where it can be shared: converting it is instant.");
  } else {
    parts.push("Of this model, phases are not what keeps bytes from being shared; the table above says what does.");
  }
  if (way && misplaced > small) {
    parts.push("More would be shared ", instruction(way), `: ${percent(way.shared, way.total)}.`);
  }
  $("why").append(...parts);
}

/** Two files, block by block, with a tensor in each. */
function diagram(group, shift) {
  const add = (tag, attributes, text = "") => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.textContent = text;
    group.append(node);
  };
  const block = 55, tensor = 215, phase = 18;
  for (const [y, label, at] of [[24, "checkpoint", phase], [88, "GGUF", phase + shift]]) {
    const end = at + tensor;
    add("text", { x: 0, y: y - 7 }, `${label}, phase ${at === phase ? "8" : "0"}`);
    add("rect", { x: at, y, width: tensor, height: 30, style: "fill: var(--copied)" });
    if (shift === 0) {
      const first = Math.ceil(at / block) * block, last = Math.floor(end / block) * block;
      add("rect", { x: first, y, width: last - first, height: 30, style: "fill: var(--shared)" });
    }
    for (let i = 0; i <= 6; i++) add("path", { d: `M${i * block} ${y - 3}v36`, style: "stroke: var(--quiet); stroke-width: 1" });
    add("path", { d: `M0 ${y}h330M0 ${y + 30}h330`, style: "stroke: var(--line)" });
  }
  add("text", { x: 0, y: 138 }, shift === 0 ? "phases agree: whole blocks are shared" : "phases differ: everything is copied");
}

/** With more files than this, none is open. */
const MOST_OPEN = 4;

class View {
  constructor(file) {
    this.file = file;
    this.canvas = el("canvas", { tabIndex: 0 });
    this.canvas.setAttribute("aria-label", "Map of " + file.path);
    this.canvas.style.height = "112px";
    this.axis = el("div", { className: "axis" });
    const t = file.totals;
    const facts = `${size(file.bytes)}: ${percent(t.cloned, t.total)} shared, ${size(t.copied)} copied, `
      + `${size(t.converted)} converted; ${count(file.tensors.length, "tensor")}, data starts at ${grouped(file.data_start)}, `
      + `alignment ${file.alignment}`;
    const button = (text, title, act) => {
      const node = el("button", { type: "button", textContent: text, title });
      node.addEventListener("click", act);
      return node;
    };
    const middle = () => this.start + this.span / 2;
    const tools = el("div", { className: "tools" },
      button("+", "Zoom in", () => this.zoom(0.5, middle())), button("−", "Zoom out", () => this.zoom(2, middle())),
      button("←", "To the left", () => this.show(this.start - this.span / 4, this.start + this.span * 3 / 4)),
      button("→", "To the right", () => this.show(this.start + this.span / 4, this.start + this.span * 5 / 4)),
      button("all", "All of the file", () => this.show(0, file.bytes)));
    // A screen full of maps tells nobody anything; what is closed is drawn when it is opened.
    this.box = el("details", { className: "file", open: data.outputs.length <= MOST_OPEN }, el("summary", { className: "file-head" },
      el("h3", { textContent: file.path }), el("span", { className: "hint", textContent: facts })), this.canvas, this.axis, tools);
    this.box.addEventListener("toggle", () => this.draw());
    $("files").append(this.box);
    this.show(0, file.bytes);
    this.listen();
  }

  show(start, end) {
    const all = this.file.bytes, span = Math.min(Math.max(end - start, Math.min(512, all)), all);
    this.start = Math.min(Math.max(start, 0), all - span);
    this.span = span;
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.draw());
  }
  zoom(factor, at) {
    const start = at - (at - this.start) * factor;
    this.show(start, start + this.span * factor);
  }

  draw() {
    const { file, canvas, start, span } = this;
    if (!this.box.open) return;
    const scale = window.devicePixelRatio || 1, width = Math.round(canvas.clientWidth * scale), px = (n) => n * scale;
    canvas.width = width;
    canvas.height = px(112);
    const c = canvas.getContext("2d"), colours = data.kinds.map(colour);
    const top = px(18), height = px(70), band = px(92), bandHeight = px(12);
    // Each column is filled in proportion to the bytes behind it, so nothing is too small to count.
    let before = bytesBefore(file, start), next;
    for (let x = 0; x < width; x++, before = next) {
      const from = start + span * x / width, to = start + span * (x + 1) / width;
      next = bytesBefore(file, to);
      const sum = to - from;
      let y = top + height;
      data.kinds.forEach((_, kind) => {
        const part = (next[kind] - before[kind]) / sum * height;
        if (part <= 0) return;
        c.fillStyle = colours[kind];
        c.fillRect(x, y - part, 1, part);
        y -= part;
      });
      const range = file.ranges[find(file.ranges, (from + to) / 2, (r) => r.at)];
      if (range && range.file !== null) {
        c.fillStyle = hue(range.file);
        c.fillRect(x, band, 1, bandHeight);
      }
    }
    this.label(c, scale, top, height);
    const bar = (n) => `${size(n)} `;
    this.axis.replaceChildren(el("span", { textContent: "byte " + grouped(Math.round(start)) }),
      el("span", { textContent: span < file.bytes ? `${bar(span)} of ${size(file.bytes)}` : "" }),
      el("span", { textContent: grouped(Math.round(start + span)) }));
  }

  /** Names of tensors where there is room. */
  label(c, scale, top, height) {
    const { file, start, span } = this, width = c.canvas.width, x = (at) => (at - start) / span * width;
    c.font = `${11 * scale}px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace`;
    const edge = colour("card"), ink = colour("quiet");
    const first = Math.max(find(file.tensors, start, (t) => t[3]), 0);
    for (let i = first, drawn = 0; i < file.tensors.length && file.tensors[i][3] < start + span && drawn < 4000; i++, drawn++) {
      const [name, , , offset, bytes] = file.tensors[i], left = x(offset), room = x(offset + bytes) - Math.max(left, 0);
      if (room < 5 * scale) continue;
      c.fillStyle = edge;
      c.fillRect(left, top, scale, height);
      const letters = Math.floor((Math.min(room, width) - 4 * scale) / (6.8 * scale));
      if (letters < Math.min(name.length, 8)) continue;
      c.fillStyle = ink;
      c.fillText(name.length > letters ? name.slice(0, letters - 1) + "…" : name, Math.max(left, 0) + 2 * scale, 11 * scale);
    }
  }

  listen() {
    const { canvas } = this;
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return this.start + this.span * Math.min(Math.max((event.clientX - box.left) / box.width, 0), 0.999999);
    };
    let drag;
    canvas.addEventListener("wheel", (event) => {
      // The page scrolls on under the pointer, unless somebody has turned to this map.
      if (!event.ctrlKey && document.activeElement !== canvas) return;
      event.preventDefault();
      const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
      if (sideways) this.show(this.start + event.deltaX / 1000 * this.span, this.start + this.span + event.deltaX / 1000 * this.span);
      else this.zoom(Math.exp(event.deltaY / 400), at(event));
      this.tip(event, at(event));
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => { drag = at(event); canvas.setPointerCapture(event.pointerId); });
    canvas.addEventListener("pointerup", () => drag = undefined);
    canvas.addEventListener("pointermove", (event) => {
      if (drag !== undefined) {
        const by = drag - at(event);
        this.show(this.start + by, this.start + by + this.span);
      }
      this.tip(event, at(event));
    });
    canvas.addEventListener("pointerleave", () => $("tip").hidden = true);
    canvas.addEventListener("dblclick", () => this.show(0, this.file.bytes));
    canvas.addEventListener("keydown", (event) => {
      const middle = this.start + this.span / 2, step = this.span / 8;
      const keys = {
        "+": () => this.zoom(0.6, middle), "=": () => this.zoom(0.6, middle), "-": () => this.zoom(1 / 0.6, middle),
        "0": () => this.show(0, this.file.bytes),
        ArrowLeft: () => this.show(this.start - step, this.start - step + this.span),
        ArrowRight: () => this.show(this.start + step, this.start + step + this.span),
      };
      if (keys[event.key]) { keys[event.key](); event.preventDefault(); }
    });
  }

  tip(event, at) {
    const { file } = this, offset = Math.floor(at);
    const range = file.ranges[find(file.ranges, offset, (r) => r.at)], tensor = tensorAt(file, offset);
    if (!range) return;
    const rows = [];
    const add = (key, ...value) => rows.push(el("dt", { textContent: key }), el("dd", {}, ...value));
    const phase = (n) => `phase ${grouped(n % data.block)}`;
    if (tensor) {
      const [, type, shape, start, bytes] = tensor;
      add("tensor", `${type} [${shape.join(", ")}], ${size(bytes)}`);
      add("at", `${grouped(start)} … ${grouped(start + bytes)}, ${phase(start)}`);
    }
    add("range", `${grouped(range.at)} … ${grouped(range.at + range.len)}, ${size(range.len)}, ${phase(range.at)}`);
    if (range.kind === undefined) {
      const mix = data.kinds.map((kind, i) => [KINDS[kind][0], range.bytes[i]]).filter(([, n]) => n > 0);
      add("is", `${count(range.steps, "range")} too short to draw: ` + mix.map(([kind, n]) => `${percent(n, range.len)} ${kind}`).join(", "));
    } else {
      const kind = data.kinds[range.kind];
      add("is", KINDS[kind][0] + (range.reason ? `: ${explanations[range.reason] ?? range.reason}` : `: ${KINDS[kind][1]}`));
    }
    if (range.file !== null) {
      add("from", name(data.sources[range.file]));
      if (range.offset !== undefined) add("", `byte ${grouped(range.offset)}, ${phase(range.offset)}`);
    }
    const tip = $("tip");
    tip.replaceChildren(el("b", { className: "name", textContent: tensor ? tensor[0] : "no tensor" }), el("dl", {}, ...rows));
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(Math.min(event.clientX + 16, innerWidth - box.width - 12), 8) + "px";
    tip.style.top = (event.clientY + 20 + box.height > innerHeight ? event.clientY - box.height - 14 : event.clientY + 20) + "px";
  }
}

function sources() {
  const most = 24;
  for (const [file, path] of data.sources.slice(0, most).entries()) {
    const mark = el("i");
    mark.style.background = hue(file);
    $("sources").append(el("span", {}, mark, name(path)));
  }
  if (data.sources.length > most) $("sources").append(el("span", { textContent: `and ${data.sources.length - most} more` }));
}

function tensors() {
  const most = 200, body = el("tbody");
  const all = data.outputs.flatMap((file, i) => file.tensors.map((tensor) => [i, tensor]));
  $("tensors").append(heads("Tensor", "Type", ">Bytes", ">Offset", ">Phase", ">Shared", "Why not"), body);
  const fill = () => {
    const part = $("filter").value.toLowerCase();
    const found = all.filter(([, t]) => t[0].toLowerCase().includes(part));
    body.replaceChildren(...found.slice(0, most).map(([i, [text, type, , offset, bytes, why]]) => {
      const file = data.outputs[i];
      const shared = Math.round(bytesBefore(file, offset + bytes)[0] - bytesBefore(file, offset)[0]);
      const reason = el("span", { title: explanations[why] ?? "", textContent: why ?? "" });
      const row = el("tr", { title: "Show on the map" }, cell(name(text)), cell(type), cell(grouped(bytes), true),
        cell(grouped(offset), true), cell(grouped(offset % data.block), true), cell(percent(shared, bytes), true), cell(reason));
      row.addEventListener("click", () => {
        views[i].box.open = true;
        views[i].show(offset - bytes / 10, offset + bytes * 1.1);
        views[i].canvas.scrollIntoView({ behavior: "smooth", block: "center" });
      });
      return row;
    }));
    $("count").textContent = found.length > most ? `the first ${most} of ${grouped(found.length)}` : count(found.length, "tensor");
  };
  $("filter").addEventListener("input", fill);
  fill();
}

summary();
advice();
reasons();
why();
diagram($("equal"), 0);
diagram($("unequal"), -14);
const views = data.outputs.map((file) => new View(file));
sources();
tensors();
const redraw = () => views.forEach((view) => view.draw());
addEventListener("resize", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
