"""An OpenAI-compatible endpoint that answers everybody after one second; prints its address.

    python -m benchmarks.slow_endpoint 1.0

Ends when its standard input does. Speaks no more of HTTP than a client needs.
"""

from __future__ import annotations

import asyncio
import json
import sys

PROGRAM = "def make_string():\n    return 'quality'\n" + "# " + "x" * 400
ANSWER = json.dumps(
    {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "slow",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": PROGRAM},
            }
        ],
        "usage": {"prompt_tokens": 700, "completion_tokens": 150, "total_tokens": 850},
    }
).encode()
HEAD = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(ANSWER)}\r\n\r\n"


async def serve(seconds: float) -> None:
    """Answers until nobody is left at the other end of standard input."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = int(head.partition("content-length:")[2].partition("\r\n")[0] or 0)
                await reader.readexactly(length)
                await asyncio.sleep(seconds)
                writer.write(HEAD.encode() + ANSWER)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
