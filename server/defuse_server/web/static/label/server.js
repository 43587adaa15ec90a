// Sends requests to the server. A refusal is final; a request that does not arrive can be sent again.

export class Unreached extends Error {}

export class Refused extends Error {
  constructor(status, problem) {
    super(problem.message || `The server refused this (${status}).`);
    this.status = status;
    this.reason = problem.reason || "";
  }

  // The same request succeeds after signing in again in another tab.
  get isSession() {
    return this.status === 401 || this.status === 403;
  }
}

const PATIENCE_MS = 15000;

export function server(audit, csrf) {
  // With `leaving`, the request outlives the page, and nobody waits for its answer.
  return async function post(what, content, leaving = false) {
    let response;
    try {
      response = await fetch(`/label/${audit}/${what}`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-csrf-token": csrf },
        body: JSON.stringify(content),
        signal: AbortSignal.timeout(PATIENCE_MS),
        keepalive: leaving,
      });
    } catch {
      throw new Unreached("The server can’t be reached.");
    }
    if (response.status >= 500) throw new Unreached(`The server has a problem (${response.status}).`);
    const answer = await response.json().catch(() => null);
    if (answer === null) throw new Unreached("The answer got lost.");
    if (!response.ok) throw new Refused(response.status, answer);
    return answer;
  };
}

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
