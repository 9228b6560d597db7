// POSTs JSON to this node; what is refused becomes an error with the server's sentence.
export async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify(body),
    redirect: "error",
    signal: AbortSignal.timeout(15000),
  });
  const told = await answer.json().catch(() => ({}));
  if (answer.ok) return told;
  const error = new Error(`status ${answer.status}`);
  error.sentence = told.error;
  error.next = told.next;
  throw error;
}
