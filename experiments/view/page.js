"use strict";
// Texts of a model only ever become textContent, so that nothing in them can act.
const element = (id) => document.getElementById(id);
const embedded = element("data") ? JSON.parse(element("data").textContent) : null;
const HEIGHT = 38; // of a line of the list, as the style sheet has it
const SORTS = {
  "as asked": () => 0,
  "least agreement": (a, b) => agreement(a) - agreement(b),
  "most agreement": (a, b) => agreement(b) - agreement(a),
  "most cut off": (a, b) => silent(b) - silent(a),
  "most tokens": (a, b) => cell(b).tokens - cell(a).tokens,
};
const KINDS = ["right", "wrong", "contested", "cut off", "selectors differ", "abstained", "runs differ"];
const state = { rows: [], shown: [], runs: [], kinds: new Set(), text: "", found: null, at: -1, wanted: 0, shared: 0, isWhole: false };

const cell = (row) => row.cells.find((one) => one !== null);
const agreement = (row) => cell(row).agreement ?? -1;
const silent = (row) => cell(row).silent.reduce((sum, [, count]) => sum + count, 0) / cell(row).samples;
const verdict = (right) => (right === true ? "right" : right === false ? "wrong" : "");
const word = (right) => (right === true ? "right" : right === false ? "wrong" : "not graded");
const tone = (right) => (right === true ? "good" : right === false ? "bad" : "");
const percent = (share) => (share === null || share === undefined ? "-" : `${Math.round(100 * share)}%`);
const many = (count) => count.toLocaleString("en");
const tokensOf = (count) => `${many(count)} ${count === 1 ? "token" : "tokens"}`;

function make(tag, name = "", text = null, ...inside) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== null) made.textContent = text;
  made.append(...inside);
  return made;
}

async function load(path, values = {}) {
  if (embedded) {
    if (path === "/overview") return embedded;
    const whole = embedded.questions[`${values.run}/${values.id}`];
    if (path === "/question") return whole ?? null;
    if (path === "/tokens") return { tokens: whole.token_texts[whole.samples.findIndex((s) => s.index === values.sample)] };
    const text = values.text.toLowerCase();
    const holds = (sample) => `${sample.reasoning}\n${sample.text}`.toLowerCase().includes(text);
    return Object.values(embedded.questions).filter((one) => one.samples.some(holds)).map((one) => one.id);
  }
  const answer = await fetch(`${path}?${new URLSearchParams(values)}`, { credentials: "same-origin" });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

// The list: only the lines that can be seen are elements.

function bar(one) {
  const made = make("span", "bar");
  const piece = (share, name) => {
    const part = make("i", name);
    part.style.width = `${100 * share / one.samples}%`;
    return part;
  };
  made.append(...one.votes.map(([, count, right]) => piece(count, verdict(right))));
  if (one.others) made.append(piece(one.others, ""));
  return made;
}

function line(row, place) {
  const made = make("a");
  const first = cell(row);
  made.href = `#${encodeURIComponent(row.id)}`;
  made.style.height = `${HEIGHT}px`;
  if (place === state.at) made.setAttribute("aria-current", "true");
  const dots = make("span", `dot ${verdict(first.right)}`);
  dots.title = word(first.right);
  const text = state.shared ? `\u2026 ${row.question.slice(state.shared)}` : row.question;
  made.append(dots, make("span", "", text), bar(first));
  made.setAttribute("aria-label", `${row.question}: ${word(first.right)}, ${percent(first.agreement)} agree`);
  made.addEventListener("click", (event) => { event.preventDefault(); open(place); });
  return made;
}

function paint() {
  const list = element("list");
  const start = Math.max(0, Math.floor(list.scrollTop / HEIGHT) - 5);
  const end = Math.min(state.shown.length, start + Math.ceil(list.clientHeight / HEIGHT) + 10);
  element("space").style.height = `${state.shown.length * HEIGHT}px`;
  element("rows").style.top = `${start * HEIGHT}px`;
  element("rows").replaceChildren(...state.shown.slice(start, end).map((row, i) => line(row, start + i)));
}

function holds(row) {
  if (![...state.kinds].every((kind) => row.kinds.includes(kind))) return false;
  if (state.found !== null) return state.found.has(row.id);
  if (!state.text) return true;
  if (row.said === undefined) { // once: there are many rows, and people type fast
    const said = row.cells.flatMap((one) => (one ? one.votes.map(([answer]) => answer) : []));
    row.said = [row.id, row.question, row.gold ?? "", ...said].join("\n").toLowerCase();
  }
  return row.said.includes(state.text);
}

function refresh() {
  const opened = state.shown[state.at];
  state.shown = state.rows.filter(holds);
  const order = SORTS[element("sort").value];
  if (element("sort").value !== "as asked") state.shown = [...state.shown].sort(order);
  state.at = state.shown.indexOf(opened);
  const reading = state.isWhole ? "" : ", reading\u2026";
  element("count").textContent = `${many(state.shown.length)} of ${many(state.rows.length)} questions${reading}`;
  element("list").scrollTop = Math.max(0, state.at * HEIGHT - 100);
  paint();
}

function chips() {
  const counts = new Map(KINDS.map((kind) => [kind, 0]));
  for (const row of state.rows) for (const kind of row.kinds) counts.set(kind, counts.get(kind) + 1);
  const present = KINDS.filter((kind) => counts.get(kind) > 0);
  const whose = state.runs.length > 1 ? [make("span", "dim", `${state.runs[0].name}:`)] : [];
  element("kinds").replaceChildren(...whose, ...present.map((kind) => {
    const made = make("button", "", `${kind} ${many(counts.get(kind))}`);
    made.type = "button";
    made.dataset.kind = kind;
    made.setAttribute("aria-pressed", String(state.kinds.has(kind)));
    made.addEventListener("click", () => {
      const isOn = state.kinds.has(kind);
      state.kinds[isOn ? "delete" : "add"](kind);
      made.setAttribute("aria-pressed", String(!isOn));
      refresh();
    });
    return made;
  }));
}

// One question.

async function open(place, isAsked = true) {
  if (place < 0 || place >= state.shown.length) return;
  const row = state.shown[place];
  const ticket = (state.wanted += 1);
  state.at = place;
  const list = element("list");
  if (place * HEIGHT < list.scrollTop) list.scrollTop = place * HEIGHT;
  if ((place + 1) * HEIGHT > list.scrollTop + list.clientHeight) list.scrollTop = (place + 1) * HEIGHT - list.clientHeight;
  paint();
  history.replaceState(null, "", `#${encodeURIComponent(row.id)}`);
  const places = row.cells.flatMap((one, run) => (one ? [run] : []));
  const found = await Promise.all(places.map((run) => load("/question", { run, id: row.id })));
  if (ticket !== state.wanted) return; // another one was opened meanwhile
  document.body.dataset.question = row.id;
  element("main").replaceChildren(...(found[0] ? question(found, places) : bare(row)));
  element("main").scrollTop = 0;
  if (isAsked && matchMedia("(max-width: 760px)").matches) element("main").scrollIntoView();
}

function bare(row) {
  return [make("h1", "", row.question), make("p", "note", "This file holds the samples of other questions alone: nbest view shows all of them.")];
}

function question(found, places) {
  const first = found[0];
  const head = [make("h1", "", first.question)];
  const facts = make("div", "facts");
  if (first.gold !== null) facts.append(make("span", "", "right answer ", make("b", "good", first.gold)));
  for (const one of found) if (one.person) facts.append(make("span", "", one.person));
  head.push(facts, prompt(first.prompt));
  const sections = found.map((one, i) => make("section", "", null, ...ofRun(one, places[i], found.length > 1)));
  return [...head, make("div", found.length > 1 ? "two" : "", null, ...sections)];
}

function prompt(turns) {
  const size = turns.reduce((sum, turn) => sum + turn.content.length, 0);
  const made = make("details", "", null, make("summary", "dim", `whole prompt, ${many(size)} characters`));
  made.append(...turns.flatMap((turn) => [...(turn.role ? [make("h2", "", ` ${turn.role}`)] : []), make("pre", "", turn.content)]));
  return made;
}

function ofRun(one, run, isNamed) {
  const made = isNamed ? [make("h2", "", state.runs[run].name)] : [];
  made.push(make("h2", "", "Answers"), votes(one), choices(one));
  if (one.search.length) made.push(make("h2", "", "The tree of the search: score, chains that end below, right ones"), search(one.search));
  else if (one.parts && one.parts.branches.length) {
    const unit = one.by_token ? "by token, with the probability of each first token before temperature" : "by word";
    made.push(make("h2", "", `Where the samples part, ${unit}`), parts(one.parts));
  }
  made.push(make("h2", "", "Samples, by answer"), ...samples(one, run));
  return made;
}

function votes(one) {
  const made = make("div", "votes");
  const most = Math.max(1, ...one.votes.map((vote) => vote.samples.length), ...one.silent.map((s) => s.samples.length));
  const row = (name, tint, kind, count, by) => {
    const bars = make("div", `b ${kind}`);
    bars.style.width = `${100 * count / most}%`;
    made.append(make(kind === "silent" ? "span" : "b", tint, name), bars, make("span", "", many(count), make("span", "mark", by ? `  \u2713 ${by}` : "")));
  };
  for (const vote of one.votes) {
    const by = one.choices.filter((choice) => choice.answer === vote.answer).map((choice) => choice.select);
    row(vote.answer, tone(vote.is_right), verdict(vote.is_right), vote.samples.length, by.join(", "));
  }
  for (const kind of one.silent) row(kind.status, "dim", "silent", kind.samples.length, "");
  return made;
}

function choices(one) {
  const made = make("div", "facts");
  for (const choice of one.choices) {
    const said = choice.answer === null ? choice.outcome : `${word(choice.right)}, ${percent(choice.agreement)} agree`;
    made.append(make("span", "", `${choice.select}: `, make("span", tone(choice.right), said)));
  }
  made.append(make("span", "", tokensOf(one.tokens)));
  return made;
}

function parts(root) {
  const made = make("div", "tree");
  const add = (branch, depth, isLast) => {
    const guide = depth ? `${"\u2502 ".repeat(depth - 1)}${isLast ? "\u2514" : "\u251c"} ` : "";
    const shown = branch.text.length > 160 ? `${branch.text.slice(0, 110)} \u2026 ${branch.text.slice(-40)}` : branch.text;
    const p = branch.p === null ? "" : ` \u00b7 p ${branch.p.toFixed(2)}`;
    const right = branch.right === null ? "" : `${branch.right} right`;
    const tint = branch.right === null ? "dim" : branch.right ? "good" : "bad";
    const ended = branch.branches.length && branch.ended.length ? `, ${branch.ended.length} end` : "";
    made.append(make("div", "", null, make("code", "", guide + JSON.stringify(shown)), make("span", "dim", `${branch.samples}${ended}${p}`), make("span", tint, right)));
    branch.branches.forEach((child, i) => add(child, depth + 1, i === branch.branches.length - 1 && !branch.left_out));
    const guideOfRest = `${"\u2502 ".repeat(depth)}\u2514 `;
    if (branch.left_out) made.append(make("div", "dim", null, make("code", "", `${guideOfRest}${branch.left_out} samples on other branches`)));
    if (branch.rest !== null && branch.rest > 0.005) made.append(make("div", "dim", null, make("code", "", `${guideOfRest}what nobody drew`), make("span", "", `p ${branch.rest.toFixed(2)}`)));
  };
  add(root, 0, true);
  return made;
}

function search(nodes) {
  const made = make("div", "tree");
  for (const node of nodes) {
    const guide = "\u2502 ".repeat(node.path.length - 1) + "\u251c ";
    const score = node.score === null ? "" : node.score.toPrecision(3);
    const below = node.chains ? `${node.chains} chains` : "pruned";
    const tint = node.right === null ? "dim" : node.right ? "good" : "bad";
    made.append(make("div", node.chains ? "" : "pruned", null, make("code", "", guide + JSON.stringify(node.text)), make("span", "dim", `${score} \u00b7 ${below}`), make("span", tint, node.right === null ? "" : `${node.right} right`)));
  }
  return made;
}

function samples(one, run) {
  const groups = [...one.votes.map((vote) => vote.samples), ...one.silent.map((kind) => kind.samples)];
  return groups.flat().map((place) => sample(one, one.samples[place], run));
}

function sample(one, drawn, run) {
  const made = make("details", "sample");
  const summary = make("summary");
  summary.append(make("b", tone(drawn.is_right), drawn.answer ?? "no answer"), make("span", "", `sample ${drawn.index}`));
  if (drawn.chosen_by.length) summary.append(make("span", "mark", `\u2713 ${drawn.chosen_by.join(", ")}`));
  const facts = [drawn.status, tokensOf(drawn.tokens)];
  if (drawn.mean_logprob !== null) facts.push(`mean log p ${drawn.mean_logprob.toFixed(2)}`);
  if (drawn.seconds) facts.push(`${drawn.seconds.toFixed(1)} s`);
  if (drawn.arm) facts.push(drawn.arm);
  summary.append(make("span", "dim", facts.join(" \u00b7 ")));
  made.append(summary);
  made.addEventListener("toggle", () => { if (made.open && made.children.length === 1) fill(made, one, drawn, run); });
  return made;
}

async function fill(made, one, drawn, run) {
  if (drawn.error) made.append(make("p", "note", drawn.error));
  if (drawn.reasoning) {
    made.append(make("details", "", null, make("summary", "dim", `thought, ${many(drawn.reasoning.length)} characters`), make("pre", "", drawn.reasoning)));
  }
  const body = make("pre", "", drawn.text);
  made.append(body);
  const scored = Object.entries(drawn.scores).filter(([, score]) => score !== null);
  if (scored.length) {
    made.append(make("table", "scores", null, ...scored.map(([name, score]) => make("tr", "", null, make("td", "", name), make("td", "", String(Number(score.toPrecision(5))))))));
  }
  const { tokens } = await load("/tokens", { run, id: one.id, sample: drawn.index });
  if (tokens.length && tokens.some(([, p]) => p !== null)) shade(body, made, tokens);
}

// Tokens: shaded where the model hesitated; a click or the arrow keys show what else it might have said.

function shade(body, made, tokens) {
  const panel = make("div", "tokens", "Shaded: p below .9, .5, .1. Choose a token to see what else the model might have said.");
  const spans = tokens.map(([text, p]) => make("span", `t ${p === null ? "" : p < 0.1 ? "p3" : p < 0.5 ? "p2" : p < 0.9 ? "p1" : ""}`, text));
  let at = -1;
  const choose = (place) => {
    if (place < 0 || place >= spans.length) return;
    if (at >= 0) spans[at].classList.remove("at");
    at = place;
    spans[at].classList.add("at");
    alternatives(panel, tokens[at], at);
  };
  spans.forEach((span, place) => span.addEventListener("click", () => choose(place)));
  body.replaceChildren(...spans);
  body.tabIndex = 0;
  body.setAttribute("aria-label", "tokens; arrow keys choose one");
  body.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by) { event.preventDefault(); choose(at + by); }
  });
  made.append(panel);
}

function alternatives(panel, [text, p, others, rest], place) {
  const table = make("table");
  const row = (name, value, note) => table.append(make("tr", "", null, make("td", "", name), make("td", "", value), make("td", "dim", note)));
  const number = (value) => (value === null ? "-" : value.toFixed(value < 0.01 ? 4 : 2));
  row(JSON.stringify(text), number(p), "drawn");
  const isDrawn = ([other, value]) => (other === "" ? p !== null && Math.abs(value - p) < 1e-6 : other === text);
  const drawn = others.findIndex(isDrawn); // it is listed among the likeliest, too
  for (const [other, value] of others.filter((_, i) => i !== drawn)) row(other === "" ? "(not kept as text)" : JSON.stringify(other), number(value), "");
  if (rest !== null) row("the rest", number(rest), "");
  panel.replaceChildren(make("span", "dim", `token ${place}, before temperature`), table);
}

// Keys and the start.

function press(event) {
  const isTyping = event.target.matches("input, select");
  if (event.key === "Escape") { element("search").value = ""; searchQuestions(""); element("list").focus(); return; }
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "j") open(state.at + 1);
  else if (event.key === "k") open(state.at - 1);
  else if (event.key === "/") { event.preventDefault(); element("search").focus(); }
  else if (event.key === "o") {
    const all = [...document.querySelectorAll("details.sample")];
    const isOpen = all.every((one) => one.open);
    for (const one of all) one.open = !isOpen;
  }
}

function searchQuestions(text) {
  state.text = text.toLowerCase();
  state.found = null;
  refresh();
}

async function searchSamples() {
  const text = element("search").value;
  if (!text) return;
  state.found = new Set(await load("/find", { text }));
  refresh();
}

function heads() {
  element("runs").replaceChildren(...state.runs.map((run) => {
    const made = make("div", "", null, make("b", "", run.name), make("span", "", `${run.model} \u00b7 ${many(run.questions)} questions`));
    for (const text of [run.health, ...run.notes]) if (text) made.append(make("small", "", text));
    return made;
  }));
  document.title = `${state.runs.map((run) => run.name).join(" and ")}: nbest view`;
}

// What all questions begin with says nothing about any of them.
function sharedStart(rows) {
  if (rows.length < 2) return 0;
  let size = rows[0].question.length;
  for (const { question } of rows) {
    while (!question.startsWith(rows[0].question.slice(0, size))) size -= 1;
  }
  const end = Math.max(...[" ", "\n"].map((space) => rows[0].question.lastIndexOf(space, size - 1))) + 1;
  return end > 20 ? end : 0;
}

// Rows come as they are read: the first are shown at once, and the page can be used meanwhile.
function add(found) {
  state.rows.push(...found.rows);
  Object.assign(state, { runs: found.runs, isWhole: found.is_whole, shared: sharedStart(state.rows) });
  chips();
  refresh();
  if (found.error) element("count").textContent = `not all could be read: ${found.error}`;
}

async function start() {
  const wanted = decodeURIComponent(location.hash.slice(1));
  const place = () => state.shown.findIndex((row) => row.id === wanted);
  element("sort").replaceChildren(...Object.keys(SORTS).map((name) => make("option", "", name)));
  add(await load("/overview", { from: 0 }));
  heads();
  element("list").addEventListener("scroll", paint);
  addEventListener("resize", paint);
  addEventListener("keydown", press);
  element("sort").addEventListener("change", refresh);
  element("search").addEventListener("input", (event) => searchQuestions(event.target.value));
  element("search").addEventListener("keydown", (event) => { if (event.key === "Enter") searchSamples(); });
  open(Math.max(0, place()), wanted !== "");
  document.body.dataset.ready = "true";
  while (!state.isWhole) {
    const isThere = !wanted || place() >= 0;
    add(await load("/overview", { from: state.rows.length }));
    if (!isThere && place() >= 0) open(place());
  }
  document.body.dataset.whole = "true";
}

start();
