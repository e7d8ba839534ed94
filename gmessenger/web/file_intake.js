/** How files come into the box: chosen, pasted or dropped. What becomes of them is loaded when it is needed first. */

import { element } from "./dom.js";
import { loadModule } from "./modules.js";

export class FileIntake {
  /** Until `signal` says otherwise, no file that is dropped beside the conversation takes the page's place. */
  constructor(page, signal) {
    this._page = page;
    this._attachments = null;
    for (const event of ["dragover", "drop"])
      document.addEventListener(event, (each) => hasFiles(each.dataTransfer) && each.preventDefault(), { signal });
  }

  /** Take what is pasted into the box, and what is dropped onto the conversation. */
  bind(box, target) {
    const mark = (isOver) => target.classList.toggle("is-drop-target", isOver);
    box.addEventListener("paste", (event) => this._onPaste(event));
    target.addEventListener("dragover", (event) => hasFiles(event.dataTransfer) && mark(true));
    target.addEventListener("dragleave", (event) => target.contains(event.relatedTarget) || mark(false));
    target.addEventListener("drop", (event) => {
      mark(false);
      if (hasFiles(event.dataTransfer)) this.add([...event.dataTransfer.files]);
    });
  }

  /** Whether files can be sent to a conversation, by accounts at least. */
  isOffered(conversation) {
    return this._page.state.features.includes("file") && conversation.name !== "#all";
  }

  /** Have the user choose files. */
  choose() {
    if (!this._page.state.isAccount) return this.add([]); // says why not
    const input = element("input", { type: "file", multiple: true });
    input.addEventListener("change", () => this.add([...input.files]));
    input.click();
  }

  /** Add files to the draft of the open conversation. */
  async add(files) {
    const { current } = this._page.state;
    if (current) await this.use((attachments) => attachments.add(current, files));
  }

  /** Call a function with what draws and prepares files, once that is loaded. */
  async use(call) {
    const loaded = await loadModule("attachments");
    return loaded && call((this._attachments ??= new loaded.Attachments(this._page)));
  }

  /** The same, if it is loaded. */
  useLoaded(call) {
    if (this._attachments) call(this._attachments);
  }

  // What office programs copy has a picture of it besides: then the text is what is meant.
  _onPaste(event) {
    const { files, types } = event.clipboardData;
    const isText = types.includes("text/plain") && types.includes("text/html");
    if (!files.length || isText) return;
    event.preventDefault();
    this.add([...files]);
  }
}

function hasFiles(transfer) {
  return Boolean(transfer?.types.includes("Files"));
}
