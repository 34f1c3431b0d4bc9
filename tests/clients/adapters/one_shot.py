"""Clients that are command lines: a process for each call. `INSPECTOR` says which command
line it is: version 0.15 or 2.12 of MCP Inspector, or the program's own `call`."""

import asyncio
import json
import os
from contextlib import asynccontextmanager

from serving import Connection, serve


class CommandFailed(Exception):
    """What the command printed before it ended with a failure."""


class OneShot(Connection):
    """A client that starts `command(…)` for each request."""

    @asynccontextmanager
    async def opened(self, target):
        self.target = target
        yield {"name": None, "version": None}

    async def run(self, command):
        env = {**os.environ, **self.target.get("env", {})}
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=env
        )
        try:
            output, errors = await process.communicate()
        except asyncio.CancelledError:
            # Who abandons a command line ends it.
            process.kill()
            await process.wait()
            raise
        return process.returncode, output.decode(), errors.decode()


class Inspector(OneShot):
    """What both versions of Inspector's command line share."""

    def command(self, method, options):
        raise NotImplementedError

    async def ask(self, method, *options):
        status, output, errors = await self.run(self.command(method, list(options)))
        if status != 0 and not output.lstrip().startswith("{"):
            raise CommandFailed((errors or output).strip())
        return json.loads(output)

    async def list_tools(self):
        tools = (await self.ask("tools/list"))["tools"]
        name = lambda tool: {  # noqa: E731
            "name": tool["name"],
            "description": tool.get("description"),
            "schema": tool.get("inputSchema"),
        }
        return [name(tool) for tool in tools]

    async def call(self, tool, arguments, meta=None):
        options = self.meta_options(meta) if meta is not None else []
        result = await self.ask("tools/call", *self.call_options(tool, arguments), *options)
        texts = [item["text"] for item in result["content"] if item["type"] == "text"]
        return {
            "text": "\n".join(texts),
            "structured": result.get("structuredContent"),
            "is_error": result.get("isError", False),
        }

    def meta_options(self, meta):
        raise NotImplementedError

    def call_options(self, tool, arguments):
        pairs = []
        for name, value in arguments.items():
            text = value if isinstance(value, str) else json.dumps(value)
            pairs.append(f"{name}={text}")
        options = ["--tool-name", tool]
        return options + ["--tool-arg", *pairs] if pairs else options

    async def list_prompts(self):
        return (await self.ask("prompts/list"))["prompts"]

    async def get_prompt(self, name, arguments):
        pairs = [f"{key}={value}" for key, value in arguments.items()]
        options = ["--prompt-args", *pairs] if pairs else []
        return await self.ask("prompts/get", "--prompt-name", name, *options)

    async def list_resources(self):
        return (await self.ask("resources/list"))["resources"]

    async def list_templates(self):
        return (await self.ask("resources/templates/list"))["resourceTemplates"]

    async def read_resource(self, uri):
        contents = (await self.ask("resources/read", "--uri", uri))["contents"]
        return "\n".join(content["text"] for content in contents)


class Inspector0(Inspector):
    def command(self, method, options):
        target = self.target
        if target.get("headers"):
            raise NotImplementedError
        if "url" in target:
            server = [target["url"], "--transport", "http"]
        else:
            server = [target["command"], *target["args"]]
        command = [os.environ["NODE"], os.environ["INSPECTOR_CLI"]]
        return [*command, *server, "--method", method, *options]


class Inspector2(Inspector):
    def command(self, method, options):
        target = self.target
        ours = ["--format", "json", "--quiet", "--method", method, *options]
        if "url" in target:
            ours += ["--transport", "http", "--server-url", target["url"]]
            for name, value in (target.get("headers") or {}).items():
                ours += ["--header", f"{name}: {value}"]
            return [os.environ["NODE"], os.environ["INSPECTOR_CLI"], *ours]
        for name, value in target["env"].items():
            ours += ["-e", f"{name}={value}"]
        command = [os.environ["NODE"], os.environ["INSPECTOR_CLI"]]
        return [*command, target["command"], *target["args"], *ours]

    def meta_options(self, meta):
        pairs = [f"{name}={json.dumps(value)}" for name, value in meta.items()]
        return ["--tool-metadata", *pairs]

    async def ask(self, method, *options):
        answer = await super().ask(method, *options)
        return answer.get("result", answer)


class OwnCall(OneShot):
    """The program's own `call`, over HTTP."""

    async def call(self, tool, arguments, meta=None):
        if meta is not None:
            raise NotImplementedError
        binary = os.environ["SIDECAR"]
        command = [binary, "call", tool, json.dumps(arguments), "--node", self.target["url"]]
        authorization = (self.target.get("headers") or {}).get("Authorization", "")
        if authorization.startswith("Bearer "):
            self.target.setdefault("env", {})["SIDECAR_TOKEN"] = authorization[7:]
        if self.target["url"].startswith("https:"):
            self.target.setdefault("env", {})["SIDECAR_CA_FILE"] = os.environ["SSL_CERT_FILE"]
        status, output, errors = await self.run(command)
        if status == 0:
            return {"text": output, "structured": json.loads(output), "is_error": False}
        if errors.lstrip().startswith("{"):
            return {"text": errors, "structured": json.loads(errors), "is_error": True}
        raise CommandFailed(errors.strip())


KINDS = {"0": Inspector0, "2": Inspector2, "own": OwnCall}

if __name__ == "__main__":
    serve(KINDS[os.environ["INSPECTOR"]])
