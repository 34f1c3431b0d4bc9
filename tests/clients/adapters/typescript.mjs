// What both versions of the TypeScript SDK share. The version is in the modules that
// `sdk` holds: Client, StreamableHTTPClientTransport and StdioClientTransport.

import { allPages, contentResult, plainTools } from "./serving.mjs";

export class TypeScriptConnection {
  constructor(sdk, options = {}) {
    this.sdk = sdk;
    this.options = options;
  }

  transport(target) {
    const { StreamableHTTPClientTransport, StdioClientTransport } = this.sdk;
    if (target.url) {
      const requestInit = { headers: target.headers ?? {} };
      const { fetch } = this.options;
      return new StreamableHTTPClientTransport(new URL(target.url), { requestInit, fetch });
    }
    const { command, args, env } = target;
    return new StdioClientTransport({ command, args, env, stderr: "ignore" });
  }

  async opened(target) {
    const info = { name: "client-matrix", version: "1" };
    this.client = new this.sdk.Client(info, this.options.client ?? {});
    this.seen = [];
    await this.client.connect(this.transport(target));
    const version =
      this.client.getNegotiatedProtocolVersion?.() ?? this.client.transport.protocolVersion;
    return { name: this.client.getServerVersion()?.name, version: version ?? null };
  }

  async closed() {
    await this.client.close();
  }

  async listTools() {
    return await allPages((page) => this.client.listTools(page), (page) => page.tools);
  }

  async list_tools() {
    return plainTools(await this.listTools());
  }

  async call(name, args, meta, signal) {
    const params = { name, arguments: args };
    if (meta) params._meta = meta;
    return contentResult(await this.callTool(params, { signal, timeout: 60000 }));
  }

  async list_prompts() {
    return await allPages((page) => this.client.listPrompts(page), (page) => page.prompts);
  }

  async get_prompt(name, args) {
    return await this.client.getPrompt({ name, arguments: args });
  }

  async list_resources() {
    return await allPages((page) => this.client.listResources(page), (page) => page.resources);
  }

  async list_templates() {
    const fetch = (page) => this.client.listResourceTemplates(page);
    return await allPages(fetch, (page) => page.resourceTemplates);
  }

  async updates() {
    return this.seen;
  }

  async read_resource(uri) {
    const result = await this.client.readResource({ uri });
    return result.contents.map((content) => content.text).join("\n");
  }
}

export class TypeScript2 extends TypeScriptConnection {
  constructor(sdk, options = {}) {
    const client = { versionNegotiation: { mode: process.env.ERA ?? "legacy" } };
    super(sdk, { client, ...options });
  }

  callTool(params, options) {
    return this.client.callTool(params, options);
  }

  async watch(uri) {
    this.client.setNotificationHandler("notifications/resources/updated", ({ params }) => {
      this.seen.push(params.uri);
    });
    if (process.env.ERA === "auto") {
      await this.client.listen({ resourceSubscriptions: [uri] });
    } else {
      await this.client.subscribeResource({ uri });
    }
  }
}
