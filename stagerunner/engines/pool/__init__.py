"""Engines that hold workers somewhere and move frames between them: threads here, actors or tasks elsewhere.

    Loop ── send ──▶ PoolTransport ── submit(worker, frame) ─▶ worker 1 ── submit(worker, ticket) ─▶ worker 2 … ─┐
         ◀─ arrivals ─────┴──────────────────────────── fetch(ticket) ◀──────────────────────────────────────────┘

A frame is submitted to all its workers at once: to the first one as bytes, to each next one as the ticket of the submit
before. So results go from worker to worker, and only those of the last stage come to the parent. Frame s goes to worker
s mod N of every stage, and a worker takes what is submitted to it in that order: so stages with state see every frame
in sequence. Window, order, delivery, restarts and isolation are those of every engine.
"""
