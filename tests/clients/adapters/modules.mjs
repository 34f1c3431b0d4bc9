// Finds modules in the folders to which scripts/clients has installed them.

import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

export async function load(folder, name) {
  const require = createRequire(join(process.env.CLIENTS_CACHE, folder, "package.json"));
  return await import(pathToFileURL(require.resolve(name)));
}
