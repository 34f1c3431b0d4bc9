// The TypeScript SDK 1.x. mcp-remote, which only carries messages, is driven by it too.

import { serve } from "./serving.mjs";
import { TypeScriptConnection } from "./typescript.mjs";
import { load } from "./modules.mjs";

const sdk = {
  ...(await load("npm-1", "@modelcontextprotocol/sdk/client/index.js")),
  ...(await load("npm-1", "@modelcontextprotocol/sdk/client/stdio.js")),
  ...(await load("npm-1", "@modelcontextprotocol/sdk/client/streamableHttp.js")),
};
const { ResourceUpdatedNotificationSchema } = await load(
  "npm-1",
  "@modelcontextprotocol/sdk/types.js",
);

class TypeScript1 extends TypeScriptConnection {
  callTool(params, options) {
    return this.client.callTool(params, undefined, options);
  }

  async watch(uri) {
    this.client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
      this.seen.push(params.uri);
    });
    await this.client.subscribeResource({ uri });
  }
}

serve(() => new TypeScript1(sdk));
