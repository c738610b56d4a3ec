"""The process engine: a parent, a keeper, workers, and the links between them.

              ┌───────── parent ─────────┐
              │ supply · window · loop   │◀═══════ return link (duplex) ══════╗
              └────────────┬─────────────┘                                    ║
                  one-way  ▼                                                  ║
                   worker: stage 1 ── one-way ──▶ worker: stage 2 ── … ──▶ worker: stage n
                           ▲                              ▲                   ▲
                           └──────── forked by the keeper ┴───────────────────┘

How it ends: the parent sends END behind the last frame; each worker that has read END on every inbound link sends it
on every outbound link and leaves with status 0. END back on every return link, with nothing missing, is the only good
end. A link that ends without END is a death: the parent kills every process group, closes every pipe and either
begins the next epoch or ends the run. The keeper watches the life pipe: when the parent is gone, it kills and leaves.
"""
