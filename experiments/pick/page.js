"use strict";
// The server holds the state; this shows it and sends keys. Texts of a model only ever become
// textContent, so that nothing in them can act.
const element = (id) => document.getElementById(id);
let queryId = "";
let isBusy = false;
const comment = element("comment");

function button(text, place, isMarked) {
  const made = document.createElement("button");
  const key = document.createElement("kbd");
  const body = document.createElement("pre");
  key.textContent = String(place + 1);
  body.textContent = text;
  made.type = "button";
  if (isMarked !== null) made.setAttribute("aria-pressed", String(isMarked));
  made.append(key, body);
  made.addEventListener("click", () => press(String(place + 1)));
  return made;
}

function show(screen) {
  comment.value = screen.comment;
  queryId = screen.query_id;
  element("bar").max = screen.total;
  element("bar").value = screen.done;
  element("count").textContent = `${screen.done} of ${screen.total}` +
    (screen.num_pages > 1 ? `, page ${screen.page + 1} of ${screen.num_pages}` : "");
  element("ask").textContent = screen.is_tie ? "Which answers are equally good?" : "Which answer is best?";
  element("ask").hidden = element("remark").hidden = screen.is_over;
  element("question").textContent = screen.is_over ? "All questions are decided." : screen.question;
  element("prompt").textContent = screen.prompt;
  element("whole").hidden = screen.is_over || screen.prompt === screen.question;
  const marked = (place) => (screen.is_tie ? screen.marked.includes(place) : null);
  element("texts").replaceChildren(...screen.texts.map((text, place) => button(text, place, marked(place))));
  element("skip").hidden = element("none").hidden = element("tie").hidden = screen.is_over;
  element("tie").setAttribute("aria-pressed", String(screen.is_tie));
  element("tie-words").textContent = screen.is_tie ? "choose all that is marked" : "a tie";
  element("back").hidden = element("next").hidden = screen.num_pages < 2;
  document.body.dataset.query = screen.query_id;
  document.body.dataset.over = screen.is_over;
  document.body.dataset.tie = screen.is_tie;
}

async function send(path, options) {
  const answer = await fetch(path, { credentials: "same-origin", ...options });
  if (!answer.ok) throw new Error(`${answer.status}`);
  show(await answer.json());
}

async function press(key) {
  if (isBusy) return;
  isBusy = true;
  try {
    // The server refuses a key that was meant for another question, as a second tab's may be.
    const body = JSON.stringify({ key, query_id: queryId, comment: comment.value });
    await send("/press", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  } catch (error) {
    await send("/screen");
  } finally {
    isBusy = false;
  }
}

// A comment goes with the choice; while it is typed, no key is a choice.
comment.addEventListener("keydown", (event) => {
  event.stopPropagation();
  if (event.key === "Enter" || event.key === "Escape") comment.blur();
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.key === "c") { event.preventDefault(); comment.focus(); }
  if (/^[0-9sunpt]$/.test(event.key)) press(event.key);
});
for (const [id, key] of [["none", "0"], ["tie", "t"], ["skip", "s"], ["undo", "u"], ["back", "p"], ["next", "n"]]) {
  element(id).addEventListener("click", () => press(key));
}
send("/screen");
