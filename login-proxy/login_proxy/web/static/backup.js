// A chosen backup file becomes the text of the form: a backup as it is, a bare swarm.pem in base64.
const file = document.getElementById("file");
const text = document.getElementById("bundle");

file?.closest("[hidden]")?.removeAttribute("hidden");
file?.addEventListener("change", async () => {
  const chosen = file.files[0];
  const tooLong = chosen !== undefined && chosen.size > Number(file.dataset.longest);
  file.setCustomValidity(tooLong ? file.dataset.tooLong : "");
  if (!chosen || !file.reportValidity()) {
    text.value = "";
    return;
  }
  const bytes = new Uint8Array(await chosen.arrayBuffer());
  const ascii = bytes.every((byte) => byte === 9 || byte === 10 || byte === 13 || (byte >= 32 && byte < 127));
  const characters = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  text.value = ascii ? characters : btoa(characters);
});
