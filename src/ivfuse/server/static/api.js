// Calls to the server: errors become sentences, a full queue is waited for, a token is asked for.

const WAITS = 3; // times that a full queue is waited for
const LONGEST = 10; // seconds of a wait

export class Refusal extends Error {}

let askForToken = async () => null;

/** Set the function that asks the user for the token. */
export function onToken(ask) { askForToken = ask; }

function headers() {
  const token = sessionStorage.getItem("ivfuse-token");
  return token ? { Authorization: `Bearer ${token}` } : {};
}

const pause = (seconds, signal) => new Promise((go, stop) => {
  const timer = setTimeout(go, seconds * 1000);
  signal?.addEventListener("abort", () => { clearTimeout(timer); stop(signal.reason); });
});

async function sentence(response) {
  try {
    return (await response.json()).error || `The server answered with ${response.status}.`;
  } catch {
    return `The server answered with ${response.status}.`;
  }
}

/** Fetch; gives the response or throws a Refusal whose message is a sentence. */
export async function call(path, { form, signal } = {}) {
  for (let tries = 0; ; tries++) {
    let response;
    try {
      response = await fetch(path, { method: form ? "POST" : "GET", body: form, signal, headers: headers() });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refusal("The server cannot be reached; it may have been stopped.");
    }
    if (response.ok) return response;
    if (response.status === 429 && tries < WAITS) {
      await pause(Math.min(Number(response.headers.get("Retry-After")) || 1, LONGEST), signal);
      continue;
    }
    if (response.status === 401) {
      const token = await askForToken();
      if (token) { sessionStorage.setItem("ivfuse-token", token); continue; }
      sessionStorage.removeItem("ivfuse-token");
    }
    throw new Refusal(await sentence(response));
  }
}

/** A form of files and fields; what is empty is left out. */
export function formOf(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof File) form.append(name, value, "image"); // its name is nobody's business
    else if (value instanceof Blob) form.append(name, value, "image");
    else if (value !== null && value !== undefined && value !== "") form.append(name, String(value));
  }
  return form;
}

/** A base64 text as a blob. */
export function blobOf(text, type) {
  return new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], { type });
}
