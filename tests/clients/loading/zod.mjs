// The conversion of JSON Schema to Zod and back, as TypeScript programs do it.

import { readFileSync } from "node:fs";
import { load } from "../adapters/modules.mjs";

const { z } = await load("npm-2", "zod");
const tools = {};
for (const tool of JSON.parse(readFileSync(0, "utf8"))) {
  tools[tool.name] = z.toJSONSchema(z.fromJSONSchema(tool.inputSchema), { io: "input" });
}
console.log(JSON.stringify({ tools }));
