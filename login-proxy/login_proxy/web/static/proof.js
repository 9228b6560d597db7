// Passkey and wallet buttons: shows those that this browser can do, and wires them. The password needs no script.
import { proveByPasskey, registerPasskey, passkeysWork } from "./passkey.js";
import { proveByWallet, walletsWork } from "./wallet.js";

const problem = document.getElementById("error");
const field = (id) => document.getElementById(id)?.value.trim() ?? "";

function show(sentence) {
  problem.textContent = sentence;
  problem.hidden = !sentence;
}

async function act(box, button) {
  const { purpose, next } = box.dataset;
  const more = { label: field("label"), token: purpose === "claim" ? field("token") : "" };
  show("");
  button.disabled = true;
  try {
    const passkey = purpose === "claim" || purpose === "add" ? registerPasskey : proveByPasskey;
    const way = button.dataset.way === "passkey" ? passkey : proveByWallet;
    const answer = await way(purpose, more);
    location.assign(purpose === "confirm" || purpose === "add" ? next : answer.next);
  } catch (error) {
    if (error.next) location.assign(error.next);
    else show(error.sentence ?? `${box.dataset.failed} (${error.message ?? error})`);
  } finally {
    button.disabled = false;
  }
}

for (const box of document.querySelectorAll(".ways")) {
  for (const button of box.querySelectorAll("button")) {
    const works = button.dataset.way === "passkey" ? passkeysWork() : walletsWork();
    button.hidden = button.dataset.way === "passkey" && !works;
    if (!works) {
      button.addEventListener("click", () => show(box.dataset.noWallet));
      continue;
    }
    button.addEventListener("click", () => act(box, button));
  }
}
