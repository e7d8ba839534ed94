/** The modules that are served as one file, where a name at the top of one is a name for all. */

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { Window, setUp } from "./support.js";

const { browser, server } = setUp({ accounts: [] });
const FOLDER = join("gmessenger", "web");
const DEFINED = /^(?:export )?(?:async )?(?:function|class|const|let) (\w+)/gm;

test("where a module has a name of the browser's own, others that use it import it", async () => {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith(".js") && name !== "sw.js");
  const sources = files.map((name) => readFileSync(join(FOLDER, name), "utf8"));
  const definedIn = (source) => [...source.matchAll(DEFINED)].map(([, name]) => name);
  const importedIn = (source) =>
    [...source.matchAll(/^import \{([^}]*)\}/gm)].flatMap(([, names]) => names.split(",").map((name) => name.trim()));
  const window = await Window.open(browser, server);
  const own = await window.page.evaluate((names) => names.filter((name) => name in globalThis), sources.flatMap(definedIn));
  for (const name of own) {
    const uses = sources.filter((source) => new RegExp(`(?<![.\\w"])${name}\\(`).test(source));
    const strangers = uses.filter((source) => ![...definedIn(source), ...importedIn(source)].includes(name));
    assert.deepEqual(strangers, [], name);
  }
  await window.close();
});
