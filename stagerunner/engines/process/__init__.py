"""The process engine: a parent, a fork server, workers, and the pipes between them.

              ┌───────── parent ─────────┐
              │ split source · window · loop   │◀═══════ return pipe (duplex) ══════╗
              └────────────┬─────────────┘                                    ║
                  one-way  ▼                                                  ║
                   worker: stage 1 ── one-way ──▶ worker: stage 2 ── … ──▶ worker: stage n
                           ▲                              ▲                   ▲
                           └──────── forked by the fork server ┴───────────────────┘

How it ends: the parent sends END behind the last frame; each worker that has read END on every inbound pipe sends it
on every outbound pipe and leaves with status 0. END back on every return pipe, with nothing missing, is the only good
end. A pipe that ends without END is a death: the parent kills every process group, closes every pipe and either
begins the next epoch or ends the run. The fork server watches the life pipe: when the parent is gone, it kills and
leaves.
"""
