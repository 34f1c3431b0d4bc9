// A page in a browser that calls the server: the TypeScript SDK 2.x over the `fetch` of
// happy-dom, which keeps the same-origin policy and asks for permission (CORS preflights)
// as browsers do. `ORIGIN` is the page's.

import { serve } from "./serving.mjs";
import { TypeScript2 } from "./typescript.mjs";
import { load } from "./modules.mjs";

const { Window } = await load("npm-2", "happy-dom");
const sdk = await load("npm-2", "@modelcontextprotocol/client");

serve(() => {
  const window = new Window({ url: `${process.env.ORIGIN}/` });
  // The headers and abort signals of Node are not those of the window.
  const fetch = (url, { signal, headers, ...init } = {}) => {
    const abort = new window.AbortController();
    signal?.addEventListener("abort", () => abort.abort());
    const plain = Object.fromEntries(new Headers(headers));
    return window.fetch(String(url), { ...init, headers: plain, signal: abort.signal });
  };
  return new TypeScript2(sdk, { fetch });
});
