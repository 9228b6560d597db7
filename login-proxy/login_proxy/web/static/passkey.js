// WebAuthn: the server makes the options, the browser asks the authenticator, the server checks the answer.
import { post } from "./http.js";

export const passkeysWork = () => isSecureContext && "credentials" in navigator && "PublicKeyCredential" in window;

const toBytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const toText = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
const withBytes = (list = []) => list.map((entry) => ({ ...entry, id: toBytes(entry.id) }));

export async function registerPasskey(purpose, { token, label }) {
  const { ticket, options } = await post(`${base(purpose)}/passkey/options`, { token });
  const publicKey = {
    ...options,
    challenge: toBytes(options.challenge),
    user: { ...options.user, id: toBytes(options.user.id) },
    excludeCredentials: withBytes(options.excludeCredentials),
  };
  const made = await navigator.credentials.create({ publicKey });
  const response = {
    clientDataJSON: toText(made.response.clientDataJSON),
    attestationObject: toText(made.response.attestationObject),
  };
  return post(`${base(purpose)}/passkey`, { ticket, token, label, credential: credential(made, response) });
}

export async function proveByPasskey(purpose) {
  const { ticket, options } = await post(`${base(purpose)}/passkey/options`, {});
  const publicKey = {
    ...options,
    challenge: toBytes(options.challenge),
    allowCredentials: withBytes(options.allowCredentials),
  };
  const got = await navigator.credentials.get({ publicKey });
  const response = {
    clientDataJSON: toText(got.response.clientDataJSON),
    authenticatorData: toText(got.response.authenticatorData),
    signature: toText(got.response.signature),
    userHandle: got.response.userHandle ? toText(got.response.userHandle) : null,
  };
  return post(`${base(purpose)}/passkey`, { ticket, credential: credential(got, response) });
}

const credential = (made, response) => ({
  id: made.id,
  rawId: toText(made.rawId),
  type: made.type,
  authenticatorAttachment: made.authenticatorAttachment ?? null,
  response,
});
const base = (purpose) => (purpose === "add" ? "/security" : `/${purpose}`);
