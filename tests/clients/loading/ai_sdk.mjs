// Vercel's AI SDK: its MCP client over a transport that answers `tools/list` by itself.

import { readFileSync } from "node:fs";
import { load } from "../adapters/modules.mjs";

const { createMCPClient } = await load("npm-2", "@ai-sdk/mcp");
const listed = JSON.parse(readFileSync(0, "utf8"));

const transport = {
  async start() {},
  async close() {
    this.onclose?.();
  },
  async send({ id, method, params }) {
    if (id === undefined) return;
    const results = {
      initialize: {
        protocolVersion: params?.protocolVersion,
        capabilities: { tools: {} },
        serverInfo: { name: "listed", version: "1" },
      },
      "tools/list": { tools: listed },
    };
    const answer = results[method]
      ? { result: results[method] }
      : { error: { code: -32601, message: method } };
    queueMicrotask(() => this.onmessage?.({ jsonrpc: "2.0", id, ...answer }));
  },
};

const client = await createMCPClient({ transport });
const tools = {};
for (const [name, tool] of Object.entries(await client.tools())) {
  tools[name] = await (tool.inputSchema.jsonSchema ?? tool.inputSchema);
}
console.log(JSON.stringify({ tools }));
process.exit(0);
