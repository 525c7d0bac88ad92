import type { CheckedScan } from '../scan-check.ts'
import { mending } from './mend.ts'
import type { Sources } from './read.ts'
import { ScanState, type ScanStep } from './scan-state.ts'

/** Scans that are under way at once; the one that was asked longest ago is ended for another one. */
const MAX_SCANS = 64

export interface BegunScan {
  readonly id: number
  readonly step: ScanStep
}

/** What a scan is made from. */
export interface ScanParts {
  sources(): Sources
  /** Number of the last write. */
  written(): number
  /** Of the last write that has been sealed, or is being sealed. */
  sealed(): number
}

interface Kept {
  readonly state: ScanState
  /** Number of the last write that it sees. */
  readonly seen: number
}

/**
 * The scans under way. Nothing waits for them: a change of what they read from ends them, and whoever goes on with one that
 * was ended is told so.
 */
export class Scans {
  readonly #parts: ScanParts
  readonly #open = new Map<number, Kept>()
  #lastId = 0
  #changes = 0

  constructor(parts: ScanParts) {
    this.#parts = parts
  }

  /** Begins a scan with its first step, of which about `points` are wanted. */
  begin(scan: CheckedScan, points: number): BegunScan {
    const sources = this.#parts.sources()
    return mending(sources, () => {
      const keepMs = sources.catalogue.tenants.keepMs(scan.tenant)
      const keptFrom = { ms: keepMs === undefined ? 0 : Math.max(0, Date.now() - keepMs), ns: 0 }
      const state = new ScanState(sources, scan, keptFrom)
      const step = state.step(points)
      const id = ++this.#lastId
      if (step.next !== undefined) this.#keep(id, { state, seen: this.#parts.written() })
      return { id, step }
    })
  }

  /** The next step; undefined when what the scan reads from has changed. */
  step(id: number, points: number): ScanStep | undefined {
    const kept = this.#open.get(id)
    this.#open.delete(id)
    // Chunks that have later points than the scan sees, or may have some, are not its chunks.
    if (kept === undefined || this.#parts.sealed() > kept.seen) return undefined
    const changes = this.#changes
    // Not once more when a file had to be repaired.
    const step = mending(this.#parts.sources(), () => (this.#changes === changes ? kept.state.step(points) : undefined))
    if (step?.next !== undefined) this.#keep(id, kept)
    return step
  }

  end(id: number): void {
    this.#open.delete(id)
  }

  /** Points were taken away, or files of chunks replaced. */
  endAll(): void {
    this.#changes++
    this.#open.clear()
  }

  #keep(id: number, kept: Kept): void {
    this.#open.set(id, kept)
    for (const oldest of this.#open.keys()) {
      if (this.#open.size <= MAX_SCANS) break
      this.#open.delete(oldest)
    }
  }
}
