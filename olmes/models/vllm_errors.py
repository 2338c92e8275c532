"""What vLLM says when it does not start, in this program's words and with its options."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections import deque
from collections.abc import Iterator

from olmes.errors import OlmesError

MEMORY = (
    "vllm:NAME?gpu_memory_utilization=0.95 (by default 0.9), or spread it: ?tensor_parallel_size=2"
)
NO_GPU = (
    "vLLM finds no GPU it can use; check `nvidia-smi` and $CUDA_VISIBLE_DEVICES, or use hf: in place "
    "of vllm:"
)
CAUSES: tuple[tuple[str, str], ...] = (
    (r"estimated maximum model length is (?P<n>\d+)",
     "the GPU has room for a window of {n} tokens at most beside the weights; give --max-length {n}, "
     f"or more of the GPU: {MEMORY}"),
    (r"stored in (?:the )?KV cache \((?P<n>\d+)\)",
     "the GPU has room for a window of {n} tokens at most beside the weights; give --max-length {n}, "
     f"or more of the GPU: {MEMORY}"),
    (r"max seq len \((?P<n>\d+)\)",
     "the GPU has no room for a window of {n} tokens beside the weights; give a smaller --max-length, "
     f"or more of the GPU: {MEMORY}"),
    (r"No available memory for the cache blocks|not enough GPU memory available to serve",
     f"the weights leave no GPU memory for answers; give it more of the GPU: {MEMORY}"),
    (r"Free memory on device[^(]*\((?P<free>[\d.]+)/(?P<all>[\d.]+) GiB\)",
     "only {free} of the GPU's {all} GiB are free; end what else runs on it, or give "
     "vllm:NAME?gpu_memory_utilization= a smaller share"),
    (r"out of memory|OutOfMemoryError",
     "the GPU's memory is too small for the model; spread it over several "
     "(vllm:NAME?tensor_parallel_size=2), or give fewer requests at once (--batch-size)"),
    (r"greater than the derived max_model_len \([^=)]*=(?P<n>[\d.]+)",
     "the model's window is {n} tokens; give at most so many with --max-length"),
    (r"attention heads \((?P<n>\d+)\) must be divisible by [a-z ]*parallel size \((?P<k>\d+)\)",
     "the model's {n} attention heads cannot be spread over {k} GPUs; give a tensor_parallel_size "
     "that divides {n}"),
    (r"must be divisible by (?:the )?(?:tensor|pipeline).parallel",
     "the model cannot be spread over so many GPUs; give a smaller tensor_parallel_size"),
    (r"World size \(\d+\)|(?:more|larger|greater) than the (?:total )?number of (?:available )?GPUs",
     "this machine has fewer GPUs than the model is to be spread over; give a smaller "
     "tensor_parallel_size or pipeline_parallel_size"),
    (r"data_parallel_size|data parallel",
     "vLLM runs one copy of a model in a process; --workers N runs N of them"),
    (r"(?i)bfloat16 is only supported|does not support bfloat16",
     "this GPU has no bfloat16; give --dtype float16"),
    (r"(?i)(?:dtype|torch\.\w+)[^\n]* (?:is not supported|not supported)[^\n]*",
     "vLLM does not run this model in that precision; give another --dtype"),
    (r"(?i)trust.remote.code",
     "the model brings code of its own; read it, and allow it with --trust-remote-code"),
    (r"architectures? \[?['\"]?(?P<name>\w+)['\"]?\]? (?:are|is) not supported"
     r"|architectures? \[?['\"]?(?P<other>\w+)['\"]?\]? failed to be inspected",
     "this vLLM does not know the architecture {name}; use hf: in place of vllm:, or update vLLM"),
    (r"(?i)no vLLM implementation|model type [`'\"]?(?P<name>\w+)[`'\"]? but Transformers does not",
     "this vLLM does not know the model's architecture; use hf: in place of vllm:, or update vLLM"),
    (r"Failed to infer device type|No CUDA GPUs are available|no NVIDIA driver|libcuda\.so"
     r"|no CUDA-capable device|not compiled with CUDA|CUDA driver version is insufficient"
     r"|Device string must not be empty|NVMLError",
     NO_GPU),
    (r"(?i)quantization|minimum capability",
     "vLLM cannot run the model in this quantization here; give another vllm:NAME?quantization=, or "
     "use a checkpoint that is not quantized"),
    (r"(?i)kv_cache_dtype|fp8 kv.cache",
     "vLLM does not take this kv_cache_dtype here; leave it out"),
    (r"unexpected keyword argument '(?P<name>\w+)'",
     "this vLLM has no option {name}; leave it out, or update vLLM"),
    (r"No module named '(?P<name>[\w.]+)'",
     "vLLM needs {name}, which is not installed; pip install it"),
    (r"undefined symbol|cannot open shared object file|ImportError",
     "vLLM does not fit the torch that is installed; install both anew in one environment"),
    (r"(?i)failed to find c compiler|nvcc|Ninja is required|InductorError|torch\._dynamo",
     "vLLM cannot compile the model here; give vllm:NAME?enforce_eager=true, or install a compiler"),
    (r"NCCL",
     "the GPUs do not reach one another (NCCL); try NCCL_P2P_DISABLE=1, or one GPU"),
    (r"(?i)/dev/shm|shared memory",
     "there is too little shared memory (/dev/shm); give the container more (--shm-size=8g)"),
    (r"(?i)no space left on device",
     "the disk is full; make room where vLLM keeps its files ($VLLM_CACHE_ROOT, $TMPDIR)"),
)  # fmt: skip
"""What vLLM says when it does not start, and what that means here; the first that fits. The texts are
those of its repository and of its issues 2248, 2418, 10517, 17618 and 20305."""
ELSEWHERE = re.compile(r"root cause above|Engine process failed to start|EngineDead|EngineCore")
"""What it says where another process has the reason."""
TROUBLE = re.compile(rb"ERROR|Traceback|Error: ")
REASON = re.compile(r"(?:^|[\s)\]])(?P<said>\w*(?:Error|Exception): \S.*)$", re.MULTILINE)


@contextlib.contextmanager
def explained(name: str) -> Iterator[None]:
    """Whatever vLLM raises where it starts becomes one sentence.

    Its engine is a process of its own, which writes its reason to standard error and not into the
    exception: that is read along.

    Args:
        name: of the model.

    Raises:
        OlmesError: it raised.
    """
    log = ErrorLog()
    try:
        with log:
            yield
    except OlmesError:
        log.release()
        raise
    except Exception as error:
        said = (
            f"{texts_of(error)}\n{log.text()}" if ELSEWHERE.search(str(error)) else texts_of(error)
        )
        cause = cause_of(said)
        if cause is None:
            log.release()
            cause = (
                f"{last_reason(said)}; its messages are above, and hf: runs the model without it"
            )
        raise OlmesError(f"vLLM cannot start '{name}': {cause}.") from error
    log.release()


def texts_of(error: BaseException | None) -> str:
    """What an exception and those behind it say."""
    said: list[str] = []
    while error is not None and len(said) < 10:
        said.append(f"{type(error).__name__}: {error}")
        error = error.__cause__ or error.__context__
    return "\n".join(said)


def cause_of(said: str) -> str | None:
    """What a text means here; None where it is unknown."""
    for pattern, sentence in CAUSES:
        if found := re.search(pattern, said, re.DOTALL):
            parts = {key: value for key, value in found.groupdict().items() if value}
            parts.setdefault("name", parts.get("other", "of this model"))
            return sentence.format_map(parts)
    return None


def last_reason(said: str) -> str:
    """The reason in a text that nothing is known of: its last error that says something."""
    reasons = [found["said"] for found in REASON.finditer(said) if not ELSEWHERE.search(found[0])]
    return (
        (reasons or [said.strip().split("\n")[0] or "no reason was given"])[-1].strip().rstrip(".")
    )


class ErrorLog:
    """Standard error while an engine starts, its processes' too: passed on, up to the first trouble.

    What comes from there on is held back: it is a trace of vLLM's, and a sentence says what it means.
    """

    def __init__(self) -> None:
        self.tail: deque[bytes] = deque(maxlen=400)
        self.held: list[bytes] | None = None
        self.released = False
        self.lock = threading.Lock()
        self.real = -1
        self.pump: threading.Thread | None = None

    def __enter__(self) -> ErrorLog:
        try:
            self.real = os.dup(2)
        except OSError:  # there is no standard error
            return self
        reading, writing = os.pipe()
        os.dup2(writing, 2)
        os.close(writing)
        self.pump = threading.Thread(target=self.forward, args=(reading,), daemon=True)
        self.pump.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.pump is None:
            return
        # Processes that were started keep the pipe, and the thread passes on what they write.
        os.dup2(self.real, 2)
        self.pump.join(timeout=1.0 if exception[0] else 0.0)

    def forward(self, reading: int) -> None:
        """Pass on what comes, until nobody has the other end."""
        while chunk := os.read(reading, 1 << 16):
            with self.lock:
                self.tail.append(chunk)
                if self.held is None and not self.released and TROUBLE.search(chunk):
                    self.held = []
                if self.held is not None:
                    self.held.append(chunk)
                else:
                    self.write(chunk)
        os.close(reading)

    def write(self, chunk: bytes) -> None:
        """Write to the real standard error, as far as it can be."""
        with contextlib.suppress(OSError):
            os.write(self.real, chunk)

    def release(self) -> None:
        """Pass on what was held back, and everything from now on."""
        with self.lock:
            self.released = True
            for chunk in self.held or ():
                self.write(chunk)
            self.held = None

    def text(self) -> str:
        """What came last."""
        with self.lock:
            return b"".join(self.tail).decode("utf-8", "replace")
