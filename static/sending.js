// One POST of a form with upload progress. Gives {status, body, retryAfter, address}; status 0 when nobody answered.

export function send(address, form, onProgress) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("POST", address);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("X-CSRFToken", document.querySelector("meta[name=csrf-token]").content);
    request.upload.addEventListener("progress", (event) => onProgress(event.loaded, event.total));
    request.addEventListener("loadend", () => {
      resolve({
        status: request.status,
        body: parsed(request.responseText),
        retryAfter: Number(request.getResponseHeader("Retry-After")) || 5,
      });
    });
    request.send(form);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export function reasonOf(answer) {
  if (answer.status === 0) return "The server could not be reached.";
  return answer.body?.error?.message ?? `The server answered ${answer.status}.`;
}
