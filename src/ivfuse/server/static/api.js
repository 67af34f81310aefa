// Requests to the server: errors become sentences, a full queue is retried, a missing token is prompted for.

const MAX_RETRIES = 3; // while the queue is full
const MAX_WAIT = 10; // seconds between two retries

/** An error whose message is a sentence for the user. */
export class RequestError extends Error {
  constructor(message) { super(message[0].toUpperCase() + message.slice(1)); }
}

let promptForToken = async () => null;

/** Set the function that prompts the user for the token. */
export function onToken(prompt) { promptForToken = prompt; }

function headers() {
  const token = sessionStorage.getItem("ivfuse-token");
  return token ? { Authorization: `Bearer ${token}` } : {};
}

const pause = (seconds, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, seconds * 1000);
  signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); });
});

async function errorMessage(response) {
  try {
    return (await response.json()).error || `The server responded with status ${response.status}.`;
  } catch {
    return `The server responded with status ${response.status}.`;
  }
}

/** Send a request: a POST if there is a form. Throws a RequestError if it fails. */
export async function call(path, { form, signal } = {}) {
  for (let retries = 0; ; retries++) {
    let response;
    try {
      response = await fetch(path, { method: form ? "POST" : "GET", body: form, signal, headers: headers() });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new RequestError("The server cannot be reached; it may have been stopped.");
    }
    if (response.ok) return response;
    if (response.status === 429 && retries < MAX_RETRIES) {
      await pause(Math.min(Number(response.headers.get("Retry-After")) || 1, MAX_WAIT), signal);
      continue;
    }
    if (response.status === 401) {
      const token = await promptForToken();
      if (token) { sessionStorage.setItem("ivfuse-token", token); continue; }
      sessionStorage.removeItem("ivfuse-token");
    }
    throw new RequestError(await errorMessage(response));
  }
}

/** Build a form from files and fields; empty ones are omitted. */
export function formOf(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof Blob) form.append(name, value, "image"); // file names stay private
    else if (value !== null && value !== undefined && value !== "") form.append(name, String(value));
  }
  return form;
}

/** Decode a base64 text into a blob. */
export function blobOf(text, type) {
  return new Blob([Uint8Array.from(atob(text), (character) => character.charCodeAt(0))], { type });
}
