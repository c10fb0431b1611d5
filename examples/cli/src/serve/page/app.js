// The page: puts the parts together.

import { closeSession } from "./api.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { at, icon, make } from "./dom.js";
import { showServer } from "./footer.js";
import { startHelp } from "./help.js";
import { examples } from "./i18n.js";
import { restore } from "./restore.js";
import { conversationAsJson, copyReply, download } from "./save.js";
import { currentLanguage, switchLanguage, translate } from "./say.js";
import { Scroll } from "./scroll.js";
import { Server } from "./server.js";
import { startTheme } from "./theme.js";
import { Timeline } from "./timeline.js";
import { dismissToast, toast } from "./toast.js";
import { fitViewport } from "./viewport.js";

translate();
for (const element of document.querySelectorAll("[data-icon]")) element.prepend(icon(element.dataset.icon));
startTheme();
fitViewport();

const server = new Server();
const scroll = new Scroll(at("main"), at("latest"));
const conversation = new Conversation(at("log"), server, scroll, copyReply);
const timeline = new Timeline(at("timeline"), (turn) => {
  scroll.to(turn.view.bubble);
  turn.view.bubble.focus({ preventScroll: true });
});
const composer = new Composer(
  { form: at("composer"), field: at("text"), send: at("send"), stop: at("stop") },
  { send, stop: () => conversation.stop() },
);
startHelp({ stop: () => conversation.stop(), focus: () => composer.focus() });

function send(text) {
  if (conversation.answering) {
    toast("stillWriting");
    return false;
  }
  dismissToast();
  conversation.send(text);
  return true;
}

function showExamples() {
  const buttons = examples[currentLanguage()].map((text) => {
    const button = make("button", { type: "button" }, text);
    button.addEventListener("click", () => send(text) && composer.focus());
    return button;
  });
  document.querySelector(".examples").replaceChildren(...buttons);
}

function showConversation() {
  const empty = conversation.turns.length === 0;
  at("welcome").hidden = !empty;
  at("new").disabled = at("export").disabled = empty;
  composer.answering(conversation.answering);
  timeline.show(conversation.turns);
  showServer(server, conversation.answering);
}

async function startAnew() {
  const { session, undo } = await conversation.clear();
  at("lost").hidden = true;
  composer.focus();
  if (await toast("fresh", "undo")) {
    if (conversation.turns.length === 0) undo();
    scroll.toEnd();
  } else if (session) closeSession(session).catch(() => {}); // the server forgets it in time anyway
}

conversation.addEventListener("change", showConversation);
conversation.addEventListener("held", () => toast("stillWriting"));
server.addEventListener("state", () => {
  showConversation();
  if (server.state === "ready") conversation.recoverLast();
});
document.addEventListener("language", () => {
  showExamples();
  showConversation();
});
at("new").addEventListener("click", startAnew);
at("export").addEventListener("click", () => download(conversationAsJson(conversation, server.info)));
at("language").addEventListener("click", switchLanguage);

const showUnsent = conversation.unsent();
showExamples();
showConversation();
server.ask();
conversation.restoring = restore(conversation, server, () => (at("lost").hidden = false))
  .catch(() => {}) // what the server refuses here, it says again when a message is sent
  .then(() => {
    showUnsent();
    scroll.toEnd();
  });
if (matchMedia("(pointer: fine)").matches) composer.focus();
