// Keeps the node's page current: every few seconds the main part is fetched and replaced. The page works without it.
const PERIOD_MS = 5000;
const main = document.getElementById("main");
const parser = new DOMParser();

async function refresh() {
  if (document.hidden || String(document.getSelection())) return; // do not disturb somebody who copies an address
  const answer = await fetch("/live", { headers: { accept: "text/html" }, signal: AbortSignal.timeout(4000) });
  if (answer.status === 401) {
    location.reload();
    return;
  }
  if (!answer.ok) return;
  const fresh = parser.parseFromString(await answer.text(), "text/html");
  main.replaceChildren(...fresh.body.childNodes);
  main.classList.remove("stale");
}

async function forever() {
  for (;;) {
    await new Promise((done) => setTimeout(done, PERIOD_MS));
    try {
      await refresh();
    } catch {
      main.classList.add("stale"); // the service restarts or the network is gone: what is shown is old
    }
  }
}

forever();
