#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A stand-in for the inference endpoints of coding agents.

It speaks as much of Anthropic's Messages API and of OpenAI's Responses API as
the real agents need for a whole task: it asks for the shell commands of a
script, one after another, and ends with a text.  Nothing is inferred.

    server.py [--bind ADDR] [--port N] [--cert FILE --key FILE]
              [--script FILE] [--log FILE]

The first line on stdout is "ready PORT".  The script is a JSON object:

    commands   shell commands to ask for, in order ([])
    text       the closing text ("Done.")
    status     answer every request with this HTTP status instead
    hang       start each answer and never end it (for time-outs)

The log gets one JSON object a line for each request: api, path, host, sni,
key, model, stream, prompt, tools, results (what the agent's tools returned so
far), reply.
"""

import argparse
import gzip
import http.server
import json
import ssl
import sys
import threading
import time

USAGE_IN, USAGE_OUT = 100, 20


def text_of(content):
    """The text of a tool's result, which comes in several shapes."""
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return str(content)


class Messages:
    """Anthropic's Messages API."""

    name = "messages"

    def __init__(self, request):
        self.request = request
        self.tools = [t.get("name") for t in request.get("tools", [])]
        self.results = [
            text_of(part.get("content", ""))
            for message in request.get("messages", [])
            if message["role"] == "user"
            and isinstance(message["content"], list)
            for part in message["content"]
            if part.get("type") == "tool_result"
        ]

    def prompt(self):
        """What the user said, without what tools returned."""
        parts = []
        for message in self.request.get("messages", []):
            content = message["content"]
            if isinstance(content, str):
                content = [{"type": "text", "text": content}]
            if message["role"] == "user":
                parts += [p["text"] for p in content if p["type"] == "text"]
        return "\n".join(parts)

    def can_run(self):
        return "Bash" in self.tools

    def block(self, reply):
        if "command" in reply:
            return {
                "type": "tool_use",
                "id": "toolu_%04d" % len(self.results),
                "name": "Bash",
                "input": {
                    "command": reply["command"],
                    "description": "Run a step",
                },
            }
        return {"type": "text", "text": reply["text"]}

    def message(self, **fields):
        usage = {"input_tokens": USAGE_IN, "output_tokens": USAGE_OUT}
        return {
            "id": "msg_standin",
            "type": "message",
            "role": "assistant",
            "model": self.request.get("model"),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
            **fields,
        }

    def stop_reason(self, reply):
        return "tool_use" if "command" in reply else "end_turn"

    def whole(self, reply):
        return self.message(
            content=[self.block(reply)], stop_reason=self.stop_reason(reply)
        )

    def events(self, reply):
        block = self.block(reply)
        if block["type"] == "text":
            start = {"type": "text", "text": ""}
            delta = {"type": "text_delta", "text": block["text"]}
        else:
            start = dict(block, input={})
            delta = {
                "type": "input_json_delta",
                "partial_json": json.dumps(block["input"]),
            }
        yield "message_start", {"message": self.message()}
        yield "content_block_start", {"index": 0, "content_block": start}
        yield "content_block_delta", {"index": 0, "delta": delta}
        yield "content_block_stop", {"index": 0}
        yield "message_delta", {
            "delta": {
                "stop_reason": self.stop_reason(reply),
                "stop_sequence": None,
            },
            "usage": {"output_tokens": USAGE_OUT},
        }
        yield "message_stop", {}


class Responses:
    """OpenAI's Responses API."""

    name = "responses"

    # Codex offers one of these, by version and model.
    CALLS = {
        "exec_command": lambda c: {"cmd": c},
        "shell_command": lambda c: {"command": c},
        "shell": lambda c: {"command": ["sh", "-c", c]},
    }

    def __init__(self, request):
        self.request = request
        given = request.get("input", [])
        items = given if isinstance(given, list) else []
        self.tools = list(self.tool_names(request))
        for item in items:
            if item.get("type") == "additional_tools":
                self.tools += self.tool_names(item)
        self.results = [
            text_of(item.get("output", ""))
            for item in items
            if str(item.get("type", "")).endswith("_output")
        ]

    def tool_names(self, holder):
        for tool in holder.get("tools") or []:
            if tool.get("type") == "namespace":
                yield from self.tool_names(tool)
            else:
                yield tool.get("name") or tool.get("type")

    def prompt(self):
        given = self.request.get("input", [])
        if isinstance(given, str):
            return given
        return "\n".join(
            part.get("text", "")
            for item in given
            if item.get("role") == "user"
            for part in item.get("content", [])
        )

    def can_run(self):
        return any(name in self.tools for name in [*self.CALLS, "exec"])

    def item(self, reply):
        n = len(self.results)
        if "text" in reply:
            part = {"type": "output_text", "text": reply["text"]}
            return {
                "type": "message",
                "id": "msg_%d" % n,
                "role": "assistant",
                "status": "completed",
                "content": [dict(part, annotations=[])],
            }
        call = {"id": "fc_%d" % n, "call_id": "call_%d" % n}
        call["status"] = "completed"
        for name, arguments in self.CALLS.items():
            if name in self.tools:
                text = json.dumps(arguments(reply["command"]))
                return dict(
                    call, type="function_call", name=name, arguments=text
                )
        # A tool that takes JavaScript, in which commands are calls.
        script = "const r = await tools.exec_command({cmd: %s}); text(%s);" % (
            json.dumps(reply["command"]),
            "JSON.stringify(r)",
        )
        return dict(call, type="custom_tool_call", name="exec", input=script)

    def response(self, status, output, **fields):
        return {
            "id": "resp_%d" % len(self.results),
            "object": "response",
            "created_at": int(time.time()),
            "model": self.request.get("model"),
            "status": status,
            "output": output,
            **fields,
        }

    def whole(self, reply):
        usage = {
            "input_tokens": USAGE_IN,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": USAGE_OUT,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": USAGE_IN + USAGE_OUT,
        }
        return self.response("completed", [self.item(reply)], usage=usage)

    def events(self, reply):
        item = self.item(reply)
        place = {"output_index": 0}
        yield "response.created", {
            "response": self.response("in_progress", [])
        }
        yield "response.output_item.added", {
            **place,
            "item": dict(item, status="in_progress"),
        }
        if "text" in reply:
            yield "response.output_text.delta", {
                **place,
                "item_id": item["id"],
                "content_index": 0,
                "delta": reply["text"],
            }
        yield "response.output_item.done", {**place, "item": item}
        yield "response.completed", {"response": self.whole(reply)}


APIS = {"/messages": Messages, "/responses": Responses}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 300

    def log_message(self, *args):
        """The log has it."""

    def setup(self):
        self.sni = None
        if self.server.tls:
            # Here and not in accept(): a client that says nothing must not
            # keep the others waiting.
            self.request.settimeout(30)
            self.request = self.server.tls.wrap_socket(
                self.request, server_side=True
            )
            self.sni = getattr(self.request, "asked_for", None)
        super().setup()

    def finish(self):
        super().finish()
        # Wrapping took the descriptor away from the server, who would close it.
        self.request.close()

    def record(self, **fields):
        key = self.headers.get("x-api-key") or self.headers.get(
            "authorization"
        )
        self.server.record(
            method=self.command,
            path=self.path,
            host=self.headers.get("host"),
            sni=self.sni,
            key=key,
            **fields,
        )

    def send_json(self, value, status=200):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        self.record()
        path = self.path.partition("?")[0]
        if self.headers.get("upgrade"):
            # Codex tries a WebSocket first.
            self.send_json({"error": {"message": "plain HTTP only"}}, 426)
        elif path.endswith("/models"):
            self.send_json({"object": "list", "data": [], "models": []})
        elif path == "/":
            self.send_json({})
        else:
            self.send_json({"error": {"message": "no such thing"}}, 404)

    do_HEAD = do_GET

    def read_request(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        return json.loads(body or b"{}")

    def do_POST(self):
        path = self.path.partition("?")[0]
        try:
            request = self.read_request()
        except ValueError as error:
            self.record(error=str(error))
            self.send_json({"error": {"message": "not JSON"}}, 400)
            return
        if path.endswith("/count_tokens"):
            self.record()
            self.send_json({"input_tokens": USAGE_IN})
            return
        for suffix, api in APIS.items():
            if path.endswith(suffix):
                self.answer(api(request))
                return
        self.record()
        self.send_json({})

    def answer(self, call):
        script = self.server.script
        commands = script.get("commands", [])
        reply = {"text": script.get("text", "Done.")}
        if call.can_run() and len(call.results) < len(commands):
            reply = {"command": commands[len(call.results)]}
        self.record(
            api=call.name,
            model=call.request.get("model"),
            stream=bool(call.request.get("stream")),
            prompt=call.prompt(),
            tools=call.tools,
            results=call.results,
            reply=reply,
        )
        if script.get("status"):
            error = {"type": "api_error", "message": "as the script says"}
            self.send_json({"type": "error", "error": error}, script["status"])
        elif call.request.get("stream"):
            self.stream(call.events(reply))
        else:
            self.send_json(call.whole(reply))

    def stream(self, events):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number, (name, fields) in enumerate(events):
            data = {"type": name, "sequence_number": number, **fields}
            text = "event: %s\ndata: %s\n\n" % (name, json.dumps(data))
            self.chunk(text.encode())
            if self.server.script.get("hang"):
                # Until the other side has gone.
                self.connection.settimeout(None)
                self.rfile.read(1)
                self.close_connection = True
                return
        self.chunk(b"")

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, options):
        self.script = {}
        if options.script:
            with open(options.script, encoding="utf-8") as file:
                self.script = json.load(file)
        self.log = None
        if options.log:
            self.log = open(options.log, "a", encoding="utf-8")
        self.log_lock = threading.Lock()
        self.tls = tls_context(options) if options.cert else None
        super().__init__((options.bind, options.port), Handler)

    def record(self, **fields):
        if self.log:
            with self.log_lock:
                self.log.write(json.dumps(fields) + "\n")
                self.log.flush()

    def handle_error(self, request, client_address):
        """A client that goes away, or trusts us not, is its own affair."""
        self.record(error=repr(sys.exc_info()[1]))


def tls_context(options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.cert, options.key)
    context.set_alpn_protocols(["http/1.1"])

    def remember(connection, name, _):
        connection.asked_for = name

    context.sni_callback = remember
    return context


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bind", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    for name in ("cert", "key", "script", "log"):
        parser.add_argument("--" + name)
    server = Server(parser.parse_args())
    print("ready", server.server_address[1], flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
