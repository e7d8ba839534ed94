/** One upload: an HTTP request whose progress is known. */

const PATH = "/file"; // of the server that the page is from
const STALL_TIMEOUT = 60_000; // milliseconds without progress, after which it is given up

/**
 * Send a content; returns `{ answer, abort }`. The answer is a promise of `{ status, text, header(name) }`, with the
 * status 0 where there is none. `onProgress(share)` is called with a number from 0 to 1.
 */
export function postFile(content, headers, onProgress) {
  const request = new XMLHttpRequest();
  let timer = null;
  const watch = () => {
    clearTimeout(timer);
    timer = setTimeout(() => request.abort(), STALL_TIMEOUT);
  };
  request.upload.onprogress = ({ loaded, total }) => {
    watch();
    onProgress(total ? loaded / total : 1);
  };
  const answer = new Promise((resolve) => {
    request.onloadend = () => {
      clearTimeout(timer);
      const header = (name) => request.getResponseHeader(name) ?? "";
      resolve({ status: request.status, text: request.responseText, header });
    };
  });
  request.open("POST", PATH);
  for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
  request.send(content);
  watch();
  return { answer, abort: () => request.abort() };
}
