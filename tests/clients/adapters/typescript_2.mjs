// The TypeScript SDK 2.x. `ERA` says whether it negotiates the newest revision of the
// protocol (`auto`) or keeps to the older handshake (`legacy`, which is its default).

import { serve } from "./serving.mjs";
import { TypeScript2 } from "./typescript.mjs";
import { load } from "./modules.mjs";

const sdk = {
  ...(await load("npm-2", "@modelcontextprotocol/client")),
  ...(await load("npm-2", "@modelcontextprotocol/client/stdio")),
};

serve(() => new TypeScript2(sdk));
