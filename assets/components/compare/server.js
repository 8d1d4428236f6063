// Questions to core/evaluation/compare_routes.py. A refusal is an Error with the server's own sentence.

export async function get(path, query = {}) {
  return answerOf(await reach(`${path}?${new URLSearchParams(query)}`));
}

export async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return answerOf(await reach(path, { method: "POST", headers, body: JSON.stringify(body) }));
}

async function reach(address, options) {
  try {
    return await fetch(address, options);
  } catch {
    throw new Error("The server does not answer; start it again, or wait until it does.");
  }
}

async function answerOf(answer) {
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(content.error || `The server answered ${answer.status}; reload the page.`);
  return content;
}
