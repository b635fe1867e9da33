// The chat page: ties the sign-in, the list of chats, the open chat and the outbox together.

import { api } from "./api.js";
import { Composer } from "./composer.js";
import { Outbox } from "./outbox.js";
import { Picker } from "./picker.js";
import { Sidebar } from "./sidebar.js";
import { ChatStream } from "./stream.js";
import { Thread } from "./thread.js";
import { refreshTimes, setClock } from "./times.js";

const $ = (id) => document.getElementById(id);
const LOST_AFTER_MS = 1_200;
const NEW = "new"; // stands for a chat that has no id yet

let chat = null; // the id of the open chat; null: a new chat without a message
let stream = null;
let chats = [];
let usualModel = "";
let lostTimer;

const sidebar = new Sidebar();
const thread = new Thread({
  retry: () => outbox.retry(),
  say: (text) => say(text),
  busy: (busy) => {
    $("stop").hidden = !busy;
    if (!busy) $("stop").disabled = false;
  },
});
const picker = new Picker((model) => say(`/model ${model}`));
const outbox = new Outbox({
  sent: (item) => { if (item.chat === chat) openStream(); listChats(); },
  waiting: (item, reason) => { if (item.chat === chat) thread.waiting(item.id, reason); },
  refused: takeBack,
});
const composer = new Composer(say);

async function start() {
  try {
    const me = await api.me();
    setClock(me.now);
    greet(me);
  } catch (error) {
    if (error.status === 401) return askToken();
    return wait(error.message);
  }
  $("login").hidden = true;
  $("app").hidden = false;
  composer.set(composer.value);
  outbox.flush();
  await listChats();
  open(location.hash.slice(1));
}

function wait(message) {
  $("app").hidden = false;
  banner(`${message} Trying again…`);
  setTimeout(start, 2_000);
}

function greet(me) {
  $("hello").textContent = `Hello, ${me.user.name}`;
  $("me-name").textContent = me.user.name;
  $("me-initial").textContent = [...me.user.name][0].toUpperCase();
  usualModel = me.model;
  $("logout").hidden = !me.token_required;
}

function askToken() {
  stream?.close();
  $("app").hidden = true;
  $("login").hidden = false;
  $("token").focus();
}

// ---------------------------------------------------------------- chats

function open(id) {
  stream?.close();
  stream = null;
  chat = id || null;
  thread.clear();
  picker.clear(usualModel);
  composer.fail("");
  banner("");
  sidebar.close();
  for (const item of outbox.of(chat)) thread.own(item.id, item.text, { pending: true });
  if (chat && (findChat(chat) || !outbox.of(chat).length)) openStream();
  if (!chat) {
    thread.ready();
    picker.load(NEW);
  }
  render();
  composer.focus();
}

/** Reads the events of a chat that exists on the gateway. */
function openStream() {
  if (stream) return;
  stream = new ChatStream(chat, { event: showEvent, ready: finishHistory, lost: reportLost, gone: leaveChat });
}

function showEvent(kind, data) {
  clearLost();
  if (kind === "draft") thread.draft(data);
  else if (kind === "reply") showReply(data);
  else if (kind === "user") showOwn(data);
  else thread.leave(kind, data.message_id);
  render();
}

function showReply(data) {
  thread.reply(data);
  if (data.details) picker.note(data.details.model);
  // A command may have changed the model.
  else if (data.final && !data.turn && thread.live) picker.load(chat);
}

function showOwn({ message_id: id, text, at }) {
  outbox.confirm(id);
  thread.own(id, text, { at });
  if (/^\/(model|new)\b/.test(text)) picker.forget();
}

function finishHistory() {
  clearLost();
  if (!thread.live) thread.ready();
  picker.load(chat);
}

function clearLost() {
  clearTimeout(lostTimer);
  lostTimer = null;
  banner("");
}

function reportLost() {
  lostTimer ??= setTimeout(() => banner("Connection lost. Reconnecting…"), LOST_AFTER_MS);
}

function leaveChat(status) {
  if (status === 401) return askToken();
  location.hash = "";
  composer.fail("That chat no longer exists.");
}

async function listChats() {
  chats = await api.chats().catch(() => chats);
  render();
}

const findChat = (id) => chats.find((each) => each.id === id);

function render() {
  const title = (chat && findChat(chat)?.title) || "New chat";
  $("title").textContent = title;
  document.title = chat ? `${title} · Sigil` : "Sigil";
  $("empty").hidden = chat !== null || !thread.isEmpty;
  sidebar.show(chats, chat);
}

function banner(text) {
  $("banner").textContent = text;
  $("banner").hidden = !text;
}

// ---------------------------------------------------------------- writing

async function say(text) {
  if (!chat) {
    try {
      chat = await api.newChat();
    } catch (error) {
      composer.set(text);
      return error.status === 401 ? askToken() : composer.fail(error.message);
    }
    history.pushState(null, "", `#${chat}`);
  }
  const item = outbox.add(chat, text);
  thread.own(item.id, text, { pending: true });
  thread.toEnd();
  render();
}

function takeBack(item, error) {
  if (item.chat === chat) {
    thread.remove(item.id);
    composer.fail(error.message);
    if (!composer.value) composer.set(item.text);
    render();
  }
  if (error.status === 401) askToken();
}

// ---------------------------------------------------------------- wiring

window.addEventListener("hashchange", () => open(location.hash.slice(1)));
window.addEventListener("online", () => outbox.retry());
setInterval(refreshTimes, 30_000);
$("new-chat").addEventListener("click", () => {
  if (location.hash) location.hash = "";
  else open("");
});
$("stop").addEventListener("click", () => {
  $("stop").disabled = true;
  say("/stop");
});
$("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("sigil-theme", root.dataset.theme);
});
for (const hint of document.querySelectorAll("[data-say]")) {
  hint.addEventListener("click", () => say(hint.dataset.say));
}
$("logout").addEventListener("click", async () => {
  await api.logout().catch(() => null);
  sessionStorage.clear();
  location.assign("/");
});
$("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("login-problem").hidden = true;
  try {
    await api.login($("token").value.trim());
    $("token").value = "";
    start();
  } catch (error) {
    $("login-problem").textContent = error.message;
    $("login-problem").hidden = false;
  }
});

start();
