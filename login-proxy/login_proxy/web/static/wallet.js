// EIP-1193 and EIP-4361: the server writes the message, the wallet signs it, the server recovers the signer.
import { post } from "./http.js";

export const walletsWork = () => "ethereum" in window && typeof window.ethereum?.request === "function";

const toHex = (text) => `0x${Array.from(new TextEncoder().encode(text), (b) => b.toString(16).padStart(2, "0")).join("")}`;

export async function proveByWallet(purpose, { token }) {
  const base = purpose === "add" ? "/security" : `/${purpose}`;
  const [address] = await window.ethereum.request({ method: "eth_requestAccounts" });
  const { ticket, message } = await post(`${base}/wallet/message`, { address, token });
  const signature = await window.ethereum.request({ method: "personal_sign", params: [toHex(message), address] });
  return post(`${base}/wallet`, { ticket, signature, token });
}
