"use strict";
// The server holds the state; this shows it and sends keys. Texts of a model only ever become
// textContent, so that nothing in them can act.
const element = (id) => document.getElementById(id);
let queryId = "";
let isBusy = false;

function button(text, place) {
  const made = document.createElement("button");
  const key = document.createElement("kbd");
  const body = document.createElement("pre");
  key.textContent = String(place + 1);
  body.textContent = text;
  made.type = "button";
  made.append(key, body);
  made.addEventListener("click", () => press(String(place + 1)));
  return made;
}

function show(screen) {
  queryId = screen.query_id;
  element("bar").max = screen.total;
  element("bar").value = screen.done;
  element("count").textContent = `${screen.done} of ${screen.total}` +
    (screen.num_pages > 1 ? `, page ${screen.page + 1} of ${screen.num_pages}` : "");
  element("question").textContent = screen.is_over ? "All questions are decided." : screen.question;
  element("texts").replaceChildren(...screen.texts.map(button));
  element("skip").hidden = screen.is_over;
  element("back").hidden = element("next").hidden = screen.num_pages < 2;
  document.body.dataset.query = screen.query_id;
  document.body.dataset.over = screen.is_over;
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
    const body = JSON.stringify({ key, query_id: queryId });
    await send("/press", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  } catch (error) {
    await send("/screen");
  } finally {
    isBusy = false;
  }
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (/^[1-9sunp]$/.test(event.key)) press(event.key);
});
for (const [id, key] of [["skip", "s"], ["undo", "u"], ["back", "p"], ["next", "n"]]) {
  element(id).addEventListener("click", () => press(key));
}
send("/screen");
