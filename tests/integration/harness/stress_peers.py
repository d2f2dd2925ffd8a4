"""Peers that agree on each exchange beforehand: a plugin and its clients, both with delays and aborts, and with bodies whose
every byte is known. The plan of a call is a function of its ID, so either side knows what the other should have sent."""

import asyncio
import dataclasses
import hashlib
import random
import threading

MANIFEST = b'{"Implements":["VolumeDriver"]}'
SIZES = (0, 1, 100, 4_000, 16_383, 16_384, 65_500, 65_536, 131_071, 131_072, 131_073, 300_000, 1_500_000)
PIECES = (1, 100, 5_000, 65_536, 400_000)
MOST_PIECES = 60  # a body is not sent in more
TIMEOUT = 60


def content(seed, size):
    return random.Random(seed).randbytes(size)


def digest(body):
    return hashlib.sha256(body).hexdigest()


@dataclasses.dataclass
class Message:
    framing: str  # "length", "chunked" or "close"
    size: int
    piece: int
    delay: float  # before each fourth piece or so
    abort: float  # the share that is sent before the sender leaves; 1: all

    @staticmethod
    def draw(choice, framings):
        size = choice.choice(SIZES) + choice.choice((0, 0, 0, 1, 7))
        piece = max(choice.choice(PIECES), size // MOST_PIECES)
        return Message(choice.choice(framings), size, piece, choice.choice((0, 0, 0, 0.002)), choice.random() if choice.random() < 0.06 else 1)


@dataclasses.dataclass
class Plan:
    number: int
    method: str
    version: str
    request: Message
    answer: Message
    status: int
    interim: int  # 1xx answers before the final one
    when: str  # the answer begins "after" the request, at its "head", or in its "middle"
    slow: float  # the client's pause in reading
    plugin_slow: float
    keep: bool  # the plugin keeps the connection
    expect: bool
    half_close: bool

    def __init__(self, number):
        choice = random.Random(number)
        self.number = number
        self.method = choice.choice(("POST", "POST", "POST", "POST", "PUT", "HEAD"))
        self.version = choice.choice(("1.1", "1.1", "1.1", "1.0"))
        self.request = Message.draw(choice, ("length", "length", "chunked") if self.version == "1.1" else ("length",))
        self.answer = Message.draw(choice, ("length", "length", "chunked", "close"))
        self.status = choice.choice((200, 200, 200, 200, 204, 304, 404, 500))
        self.interim = choice.choice((0, 0, 0, 1, 3))
        self.when = choice.choice(("after", "after", "after", "after", "head", "middle"))
        self.slow, self.plugin_slow = (choice.choice((0, 0, 0, 0.003, 0.02)) for _ in range(2))
        self.keep = choice.random() < 0.8 and self.answer.framing != "close"
        self.expect = self.version == "1.1" and choice.random() < 0.1
        self.half_close = choice.random() < 0.05
        if not self.has_answer_body or self.answer.size == 0:
            self.answer.abort = 1  # it would be complete, and its connection good

    @property
    def has_answer_body(self):
        return self.method != "HEAD" and self.status not in (204, 304)

    @property
    def sound(self):
        """Nobody leaves in the middle."""
        return self.request.abort == 1 and self.answer.abort == 1

    def sent(self):
        return content(self.number * 2, self.request.size)

    def answered(self):
        return content(self.number * 2 + 1, self.answer.size) if self.has_answer_body else b""


class Left(Exception):
    """The planned end of a connection."""


async def send_body(writer, message, body, number):
    choice = random.Random(-number)
    end, at = int(len(body) * message.abort), 0
    while at < end:
        step = min(end - at, choice.randint(max(1, message.piece // 2), message.piece))
        piece = body[at:at + step]
        writer.write(b"%x;e=1\r\n%s\r\n" % (step, piece) if message.framing == "chunked" else piece)
        await writer.drain()
        at += step
        if message.delay and choice.random() < 0.25:
            await asyncio.sleep(message.delay)
    if message.abort < 1:
        raise Left
    if message.framing == "chunked":
        writer.write(b"0\r\nX-Trailer: t\r\n\r\n")
        await writer.drain()


async def read_head(reader):
    lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    fields = {}
    for line in lines[1:-2]:
        name, _, value = line.partition(b":")
        fields[name.lower().decode()] = value.strip().decode()
    return lines[0].decode(), fields


async def read_body(reader, fields, slow=0, until_close=False, halfway=None):
    """The whole body; raises IncompleteReadError where it was cut."""
    body = bytearray()

    async def take(size):
        while size > 0:
            piece = await reader.read(min(size, 50_000))
            if not piece:
                raise asyncio.IncompleteReadError(bytes(body[-10:]), size)
            body.extend(piece)
            size -= len(piece)
            if halfway is not None:
                halfway.set()
            if slow:
                await asyncio.sleep(slow)
    if fields.get("transfer-encoding") == "chunked":
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            await take(size)
            assert await reader.readexactly(2) == b"\r\n"
        while await reader.readuntil(b"\r\n") != b"\r\n":
            pass
    elif "content-length" in fields:
        await take(int(fields["content-length"]))
    elif until_close:
        while piece := await reader.read(50_000):
            body.extend(piece)
            if slow:
                await asyncio.sleep(slow)
    return bytes(body)


class StressPlugin:
    """Runs on a thread of its own until closed. `problems` is what must not have happened."""

    def __init__(self, *, path=None, tls=None):
        self.path, self.tls, self.port = path, tls, None
        self.problems, self.seen, self.complete = [], {}, 0
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self.thread.start()
        ready.wait()

    def _run(self, ready):
        asyncio.set_event_loop(self.loop)
        if self.path:
            server = asyncio.start_unix_server(self._serve, str(self.path), limit=70_000)
        else:
            server = asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls, limit=70_000)
        self.server = self.loop.run_until_complete(server)
        if not self.path:
            self.port = self.server.sockets[0].getsockname()[1]
        ready.set()
        self.loop.run_forever()

    async def _serve(self, reader, writer):
        try:
            while await self._one(reader, writer):
                pass
            writer.close()
        except (Left, OSError, asyncio.IncompleteReadError):
            writer.transport.abort()
        except Exception as problem:
            self.problems.append(repr(problem))
            writer.transport.abort()

    async def _one(self, reader, writer):
        try:
            line, fields = await read_head(reader)
        except asyncio.IncompleteReadError as end:
            if end.partial:
                self.problems.append(f"a head was cut: {end.partial[:100]}")
            return False
        if "/Plugin.Activate" in line:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(MANIFEST), MANIFEST))
            return True
        plan = Plan(int(fields["x-id"]))
        self.seen[plan.number] = self.seen.get(plan.number, 0) + 1
        if not line.startswith(f"{plan.method} /VolumeDriver.Stress HTTP/1.1"):
            self.problems.append(line)
        middle = asyncio.Event()
        if plan.when == "head" or fields.get("expect") is None and plan.when == "middle" and plan.request.size == 0:
            middle.set()
        receiving = asyncio.ensure_future(self._receive(reader, fields, plan, middle))
        waiting = asyncio.ensure_future(middle.wait())
        try:
            if fields.get("expect"):
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if plan.when != "after":
                await asyncio.wait([receiving, waiting], return_when=asyncio.FIRST_COMPLETED)
            else:
                await asyncio.wait([receiving])
            if receiving.done():
                receiving.result()
            await self._answer(writer, plan)
            await receiving
        finally:
            receiving.cancel()
            waiting.cancel()
        return plan.keep

    async def _receive(self, reader, fields, plan, middle):
        body = await read_body(reader, fields, plan.plugin_slow, halfway=middle if plan.when == "middle" else None)
        if plan.request.abort < 1 and plan.request.size:
            self.problems.append(f"{plan} was cut and yet came whole")
        elif digest(body) != digest(plan.sent()):
            self.problems.append(f"{plan}: the request's body is another one ({len(body)} bytes)")
        self.complete += 1

    async def _answer(self, writer, plan):
        for _ in range(plan.interim):
            writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        head = f"HTTP/1.1 {plan.status} Planned\r\nX-Id: {plan.number}\r\n"
        if not plan.keep:
            head += "Connection: close\r\n"
        if plan.answer.framing == "length" and plan.status != 204:
            head += f"Content-Length: {plan.answer.size}\r\n"
        if plan.answer.framing == "chunked" and plan.has_answer_body:
            head += "Transfer-Encoding: chunked\r\n"
        writer.write(head.encode() + b"\r\n")
        if plan.has_answer_body:
            await send_body(writer, plan.answer, plan.answered(), plan.number * 2 + 1)
        await writer.drain()

    def close(self):
        asyncio.run_coroutine_threadsafe(self._end(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    async def _end(self):
        self.server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class StressClient:
    """One after another, the calls `numbers` on a published socket."""

    def __init__(self, path, numbers, outcomes, problems):
        self.path, self.numbers, self.outcomes, self.problems = str(path), numbers, outcomes, problems
        self.streams = None

    async def run(self):
        for number in self.numbers:
            plan = Plan(number)
            try:
                outcome = await asyncio.wait_for(self._call(plan), TIMEOUT)
            except Left:
                outcome = "left"
            except (OSError, asyncio.IncompleteReadError) as end:
                outcome = "cut"
                if plan.sound and plan.when == "after":
                    self.problems.append(f"{plan}: {end!r}")
            except asyncio.TimeoutError:
                outcome = "hang"
                self.problems.append(f"{plan}: no end within {TIMEOUT} s")
            if outcome != "kept":
                self._drop()
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        self._drop()

    def _drop(self):
        if self.streams:
            self.streams[1].transport.abort()
        self.streams = None

    async def _call(self, plan):
        if self.streams is None:
            self.streams = await asyncio.open_unix_connection(self.path, limit=70_000)
        reader, writer = self.streams
        sending = asyncio.ensure_future(self._send(reader, writer, plan))
        try:
            return await self._read(reader, plan, sending)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _send(self, reader, writer, plan):
        head = f"{plan.method} /VolumeDriver.Stress HTTP/{plan.version}\r\nHost: x\r\nX-Id: {plan.number}\r\n"
        if plan.version == "1.0":
            head += "Connection: keep-alive\r\n"
        if plan.expect:
            head += "Expect: 100-continue\r\n"
        head += "Transfer-Encoding: chunked\r\n" if plan.request.framing == "chunked" else f"Content-Length: {plan.request.size}\r\n"
        writer.write(head.encode() + b"\r\n")
        try:
            await send_body(writer, plan.request, plan.sent(), plan.number * 2)
        except Left:
            writer.transport.abort()
            raise
        if plan.half_close:
            writer.write_eof()

    async def _read(self, reader, plan, sending):
        while True:
            head = asyncio.ensure_future(read_head(reader))
            await asyncio.wait([head, sending] if not sending.done() else [head], return_when=asyncio.FIRST_COMPLETED)
            if sending.done() and isinstance(sending.exception(), Left):
                head.cancel()
                raise Left
            line, fields = await head
            if not line.startswith("HTTP/1.1 1"):
                break
            if plan.version == "1.0":
                self.problems.append(f"{plan}: {line}")
        status = int(line.split()[1])
        body = b"" if plan.method == "HEAD" or status in (204, 304) else await read_body(reader, fields, plan.slow, until_close=True)
        if sending.done():
            sending.result()  # it has left itself
        if "x-id" not in fields:
            expected = plan.answer.abort < 1 or plan.request.abort < 1 or plan.when != "after"
            if status not in (400, 502) or not expected:
                self.problems.append(f"{plan}: {status} {body[:300]}")
            return "broker's"
        # The end of a Unix connection does not tell whether it was meant.
        truncated = plan.answer.framing == "close" or plan.version == "1.0" and "content-length" not in fields
        truncated = truncated and plan.answer.abort < 1 and plan.answered().startswith(body)
        if status != plan.status or int(fields["x-id"]) != plan.number:
            self.problems.append(f"{plan}: got {line} of {fields['x-id']}")
        elif digest(body) != digest(plan.answered()) and not truncated:
            self.problems.append(f"{plan}: the answer's body is another one ({len(body)} bytes)")
        if fields.get("connection") == "close" or plan.half_close or plan.version == "1.0" and fields.get("connection") != "keep-alive":
            return "ended"
        await sending
        return "kept"


async def stress(path, clients, calls, first=1):
    """`clients` connections with `calls` each. Returns how calls ended, and what must not have happened."""
    outcomes, problems = {}, []
    await asyncio.gather(*(StressClient(path, range(first + index * calls, first + (index + 1) * calls), outcomes, problems).run()
                           for index in range(clients)))
    return outcomes, problems
