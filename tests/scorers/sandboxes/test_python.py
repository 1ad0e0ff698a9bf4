"""Code in the sandbox: what passes, what does not, and what tries to get out.

An escape is code that sets ESCAPED when it has done what it must not be able to do; the test of it
asserts that. So a validator that lets one pass is a way out.
"""

from __future__ import annotations

import asyncio
import os
import sys
import textwrap
from pathlib import Path

import pytest

from nbest import AmongValid, CodeBlock, FirstValid, MajorityVote, PassesTests
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.query.selection import select
from nbest.orchestrator.types import Candidates, Query, Sample
from nbest.scorers.sandboxes.python import Limits, passes, require_sandbox

LIMITS = Limits(timeout_s=3.0, memory_mb=256)
QUERY = Query(id="q", prompt="?", meta={"tests": "assert f(2) == 4"})


def sandbox_trouble() -> str:
    try:
        require_sandbox()
    except InputError as error:
        return str(error)
    return ""


pytestmark = pytest.mark.skipif(bool(sandbox_trouble()), reason=sandbox_trouble() or "-")

ESCAPES = {
    "connects to the network": "socket.create_connection(('127.0.0.1', PORT), 1)",
    "resolves a name": "socket.getaddrinfo('localhost', 80); open('/etc/hosts').read()",
    "connects without a name": "s = socket.socket(); s.connect((HOST, PORT))",
    "talks to the host's sockets": "socket.socket(socket.AF_UNIX).connect('/run/docker.sock')",
    "opens a raw socket": "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    "reads the passwords": "open('/etc/passwd').read()",
    "reads the home of the user": "[n for n in os.listdir(HOME) if n not in PREFIX] or die()",
    "reads the folder that it is run from": "open(SECRET).read()",
    "sees the environment": "os.environ['NBEST_SECRET']",
    "reads the environment of its parent": "open('/proc/1/environ').read()",
    "sees other processes": "os.listdir('/proc')[0]",
    "writes where it was started": "open(TARGET, 'w').write('x')",
    "writes to the installation": "open(os.__file__, 'a').write('x')",
    "writes to the root": "open('/here', 'w').write('x')",
    "makes a folder in the root": "os.mkdir('/here')",
    "follows a link out": "os.symlink(SECRET, '/tmp/link'); open('/tmp/link').read()",
    "makes the root writable": "ctypes.CDLL(None).mount(0, b'/', 0, 32, 0) == 0 or die()",
    "mounts a file system": "ctypes.CDLL(None).mount(b'x', b'/tmp', b'tmpfs', 0, 0) == 0 or die()",
    "changes its root": "os.chroot('/tmp')",
    "gets a namespace of its own": "ctypes.CDLL(None).unshare(0x10000000) == 0 or die()",
    "becomes somebody else": "os.setuid(1234)",
    "raises its limits": "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
    "forks": "os.fork()",
    "forks by way of clone3": "ctypes.CDLL(None).syscall(435, 0, 0) >= 0 or die()",
    "starts a process": "subprocess.run(['/usr/bin/true'], check=True)",
    "becomes another program": "os.execv('/bin/sh', ['sh', '-c', 'sleep 60'])",
    "kills its parent": "os.kill(os.getppid(), 9); os.getppid() == 1 and die()",
    "kills the process that started it": "os.kill(CALLER, 9)",
    "kills everybody": "os.kill(-1, 9)",
    "looks into another process": "ctypes.CDLL(None).ptrace(16, CALLER, 0, 0) == 0 or die()",
    "takes ten gigabytes": "x = bytearray(10 << 30)",
    "takes it bit by bit": "x = [bytearray(1 << 20) for _ in range(10_000)]",
    "fills the disk": "open('/tmp/x', 'wb').write(b'x' * (64 << 20))",
    "fills the disk with many files": "[open(f'/tmp/{i}', 'wb').write(MANY) for i in range(40)]",
    "opens files without end": "x = [open('/dev/null') for _ in range(1000)]",
    "starts threads without end": "[threading.Timer(9, die).start() for _ in range(5000)]",
    "reads the memory of the machine": "open('/dev/mem', 'rb').read(1)",
    "reads a disk": "[open(p, 'rb').read(1) for p in ('/dev/sda', '/dev/vda')]",
    "makes a device": "os.mknod('/tmp/mem', 0o20600, os.makedev(1, 1))",
    "types into the terminal": "fcntl.ioctl(os.open('/dev/tty', os.O_RDWR), 0x5412, b'x')",
    "sets the clock": "time.clock_settime(time.CLOCK_REALTIME, 0)",
    "renames the machine": "socket.sethostname('mine')",
    "sees the machine's name": "socket.gethostname() == NAME or die()",
    "loads a module of the kernel": "ctypes.CDLL(None).syscall(175, 0, 0, b'') == 0 or die()",
    "imports what is installed for us": "import numpy",
    "gets at what the caller sent after it": "input()",
}
DISHONEST = {
    "leaves at once": "import os; os._exit(0)",
    "leaves politely": "import sys; sys.exit(0)",
    "raises SystemExit": "raise SystemExit(0)",
    "says yes": "print('R' + 'passed')",
    "prints without end": "import sys\nwhile True: print('x' * 10_000)",
    "never ends": "while True: pass",
    "sleeps": "import time; time.sleep(600)",
    "ignores signals": "import signal, time\nsignal.signal(15, signal.SIG_IGN)\ntime.sleep(600)",
    "recurses without end": "def f(x): return f(x)\nf(1)",
    "crashes the interpreter": "import ctypes; ctypes.string_at(0)",
    "is no Python": "def f(x) return x",
    "holds a NUL": "x = '\0'",
    "holds half a character": "x = '\ud800'\nraise ValueError",
    "closes all files": "import os; os.closerange(0, 64)",
}


def test_at_least_thirty_ways_out_are_tried() -> None:
    assert len(ESCAPES) >= 30


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ESCAPES)
async def test_no_way_out(name: str, tmp_path: Path) -> None:
    secret, target = tmp_path / "secret", tmp_path / "target"
    secret.write_text("secret")
    names = {
        "SECRET": str(secret),
        "TARGET": str(target),
        "HOME": str(Path.home()),
        "CALLER": os.getpid(),
        "NAME": os.uname().nodename,
        "HOST": "127.0.0.1",
        "PREFIX": sys.base_prefix,
    }
    server = await listening()
    try:
        constants = "\n".join(f"{key} = {value!r}" for key, value in names.items())
        port = server.sockets[0].getsockname()[1]
        escape = textwrap.indent(ESCAPES[name], "    ")
        code = PREAMBLE + f"PORT = {port}\n{constants}\ntry:\n{escape}\n"
        code += (
            "    ESCAPED = True\nexcept (Exception, SystemExit) as error:\n    ESCAPED = False\n"
        )
        assert not await passes(code, "assert ESCAPED", LIMITS)
    finally:
        server.close()
    assert not target.exists()
    assert await passes("x = 1", "assert x", LIMITS)  # and the next one runs


PREAMBLE = """
import ctypes, fcntl, os, resource, socket, subprocess, threading, time
MANY = b"x" * (4 << 20)
def die(): raise RuntimeError
"""


async def listening() -> asyncio.Server:
    return await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)


async def test_the_escapes_would_work_outside(tmp_path: Path) -> None:
    """Else they would prove nothing: the way they report is the way that is looked for."""
    assert await passes(PREAMBLE + "ESCAPED = os.getpid() > 0", "assert ESCAPED", LIMITS)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", DISHONEST)
async def test_code_that_does_not_reach_its_tests_fails(name: str) -> None:
    limits = Limits(timeout_s=1.0, memory_mb=256)
    assert not await passes(DISHONEST[name], "assert f(2) == 4", limits)


async def test_honest_code_passes_and_wrong_code_does_not() -> None:
    tests = "assert f(2) == 4\nassert f(3) == 9"
    assert await passes("def f(x): return x * x", tests, LIMITS)
    assert not await passes("def f(x): return x + x", tests, LIMITS)


async def test_code_may_use_the_standard_library_threads_and_a_little_disk() -> None:
    code = """
        import json, math, threading, tempfile
        from dataclasses import dataclass
        values = []
        thread = threading.Thread(target=values.append, args=(math.pi,))
        thread.start()
        thread.join()
        with tempfile.TemporaryFile() as file:
            file.write(b"x" * 1000)
        def f(x):
            return json.loads(str(x * len(values) * x))
    """
    assert await passes(textwrap.dedent(code), "assert f(2) == 4", LIMITS)


# The validator


async def test_each_query_brings_its_tests() -> None:
    rule = PassesTests()
    candidates = pool(
        "def f(x): return x + x", "f = None", "def f(x): return 4", "def f(x): return x + x"
    )
    assert (await rule(QUERY, candidates)).tolist() == [True, False, True, True]
    other = Query(id="q2", prompt="?", meta={"tests": "assert f(3) == 6"})
    assert (await rule(other, candidates)).tolist() == [True, False, False, True]


async def test_the_vote_among_code_that_passes() -> None:
    texts = ["```python\nf = 1\n```"] * 3 + ["Well:\n```python\ndef f(x): return 2 * x\n```"]
    samples = tuple(Sample(id=f"s{i}", text=text) for i, text in enumerate(texts))
    answers = tuple(CodeBlock(language="python")(text) for text in texts)
    candidates = Candidates(samples=samples, answers=answers)
    rule = PassesTests(tests="assert f(2) == 4")
    assert (await select(QUERY, candidates, AmongValid(rule=rule, by=MajorityVote()))).index == 3
    assert (await select(QUERY, candidates, FirstValid(rule=rule))).index == 3


async def test_a_query_without_tests_says_so() -> None:
    with pytest.raises(InputError, match=r"meta\['tests'\] must hold the tests as text, got None"):
        await PassesTests()(Query(id="q", prompt="?"), pool("x"))


def test_tests_that_are_no_python_are_refused_at_once() -> None:
    with pytest.raises(InputError, match="tests must be Python"):
        PassesTests(tests="assert f(")


def pool(*answers: str | None) -> Candidates:
    samples = tuple(Sample(id=f"s{i}", text=a or "") for i, a in enumerate(answers))
    return Candidates(samples=samples, answers=answers)


FLOOD = """
import os
fds = []
for fd in range(3, 64):
    try:
        os.write(fd, b"x" * 65536); fds.append(fd)
    except OSError:
        pass
while True:
    for fd in fds:
        os.write(fd, b"x" * 65536)
"""
STALLS = {
    "writes without end": FLOOD,
    "writes what is no verdict": "import os\nfor fd in range(3, 64):\n"
    "    try: os.write(fd, b'R' * 40)\n    except OSError: pass",
    "closes everything and waits": "import os, time\nos.closerange(0, 64)\ntime.sleep(600)",
    "ignores signals": "import signal, time\n"
    "for n in range(1, 32):\n    try: signal.signal(n, signal.SIG_IGN)\n    except: pass\n"
    "while True: time.sleep(1)",
    "stops itself": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
    "holds the interpreter": "import re\nre.match('(a+)+$', 'a' * 5000 + '!')",
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("code", STALLS.values(), ids=STALLS)
async def test_a_program_neither_fills_nor_stops_its_parent(code: str) -> None:
    before = resident_bytes()
    assert not await passes(code, "", Limits(timeout_s=1.0))
    assert resident_bytes() - before < 50 << 20
    assert await passes("def f(x): return 2 * x", "assert f(2) == 4", Limits(timeout_s=20.0))


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
