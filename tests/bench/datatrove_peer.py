"""Job K, for comparison: datatrove's InferenceRunner against the unreliable service, with its cache of answers.

Its extra `inference` wants vLLM; an endpoint needs no more than `pip install datatrove aiosqlite aiofiles httpx orjson
pandas xxhash`. It tries again only after errors of the connection, 5 s later at the earliest, and a status of 500 ends
the whole run, so the rollout tries again by itself.

usage: python datatrove_peer.py PORT COUNT CONCURRENCY
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import Outcome, tell


def main(port: int, count: int, concurrency: int) -> None:
    from datatrove.data import Document
    from datatrove.pipeline.inference.run_inference import InferenceConfig, InferenceError, InferenceRunner
    from datatrove.pipeline.inference.types import ServerError
    from datatrove.pipeline.writers.jsonl import JsonlWriter
    from loguru import logger

    logger.remove()

    async def rollout(document: Document, generate: Any) -> str:
        while True:
            try:
                return (await generate({"messages": [{"role": "user", "content": document.text}]})).text
            except (InferenceError, ServerError):
                await asyncio.sleep(0.01)

    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        config = InferenceConfig(
            server_type="endpoint",
            model_name_or_path="any",
            endpoint_url=f"http://127.0.0.1:{port}",
            max_concurrent_generations=concurrency,
            server_ready_delay_sec=0.1,
        )
        writer = JsonlWriter(str(place / "out"), output_filename="${rank}_${chunk_index}.jsonl", compression=None)
        runner = InferenceRunner(rollout, config, writer, checkpoints_local_dir=str(place / "kept"))
        began = time.monotonic()
        runner.run(Document(text=f"{number}", id=f"{number}") for number in range(count))
        seconds = time.monotonic() - began
        done = sum(len(path.read_text().splitlines()) for path in (place / "out").glob("*.jsonl"))
        assert done == count, done
    tell(Outcome(count, seconds))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
