import { expect } from 'vitest'
import type { PointStore, ScanEnd } from '../../shared/points/port.ts'
import type { Series } from '../../shared/telemetry.ts'
import { batchOf, seriesOf, type TestPoint } from './points-harness.ts'
import { PointModel, type Kept } from './points-model.ts'
import { AMPLE, expectedRows, scanned, type ScanRow } from './points-scan-model.ts'

/** A write, a delete of a device, or that points are kept for five years. */
export type Change =
  | { readonly kind: 'write'; readonly device: number; readonly old: boolean; readonly times: readonly number[] }
  | { readonly kind: 'delete'; readonly device: number; readonly old: boolean }
  | { readonly kind: 'keep' }

const DEVICES = 6
const YEAR = 365 * 86_400_000
const NOW = Date.now() - 3_600_000
/** Months that are past a retention of five years as a whole. */
const OLD = NOW - 8 * YEAR
const KEEP_MS = 5 * YEAR

/** Long texts, so that a scan takes many steps, and numbers. */
const SERIES = Array.from({ length: DEVICES }, (_, n) => [
  seriesOf('string', { device: `d${n}` }),
  seriesOf('float', { device: `d${n}` }),
])

/** A state that the store had, or may have had: after each change. */
interface State {
  readonly points: readonly Kept[]
  readonly from: number
}

/** Makes changes one after the other while others go on with scans: what is posted, and what has returned. */
class Changing {
  readonly #store: PointStore
  readonly #model = new PointModel()
  readonly states: State[] = [{ points: [], from: 0 }]
  done = 0
  #from = 0

  constructor(store: PointStore) {
    this.#store = store
  }

  async make(change: Change): Promise<void> {
    const n = this.states.length
    const work = this.#post(change, n)
    this.states.push({ points: this.#model.all(), from: this.#from })
    await work()
    this.done = n
  }

  #post(change: Change, n: number): () => Promise<unknown> {
    if (change.kind === 'keep') {
      this.#from = NOW - KEEP_MS
      return () => this.#store.setRetention('acme', KEEP_MS)
    }
    const start = change.old ? OLD : NOW
    if (change.kind === 'delete') {
      const [from, to] = [
        { ms: start, ns: 0 },
        { ms: start + 3_000_000, ns: 0 },
      ]
      const range = { tenant: 'acme', device: `d${change.device}`, from, to }
      this.#model.delete(range)
      return () => this.#store.delete(range)
    }
    const points = change.times.flatMap((time): TestPoint[] =>
      (SERIES[change.device] ?? []).map((series) => ({
        series,
        ms: start + time,
        ns: 0,
        value: valueOf(series, n, time),
      })),
    )
    this.#model.write(points)
    return () => this.#store.write(batchOf(points))
  }
}

function valueOf({ type }: Series, n: number, time: number): string | number {
  return type === 'float' ? n : `${n} ${time} `.padEnd(3000, '-')
}

/**
 * Scans beside changes: every scan is one state of those that the store had between its call and its end. Resolves with how
 * often a scan was ended because its state was gone.
 */
export async function checkScansBeside(
  store: PointStore,
  changes: readonly Change[],
  toScan: (store: PointStore) => PointStore = (same) => same,
): Promise<Map<ScanEnd['by'], number>> {
  const changing = new Changing(store)
  const ends = new Map<ScanEnd['by'], number>()
  let running = true
  const scanning = async (): Promise<void> => {
    let cursor: string | undefined
    do {
      const earliest = changing.done
      const asked = { tenant: 'acme', selector: {}, budget: AMPLE, ...(cursor === undefined ? {} : { cursor }) }
      const { rows, end } = await scanned(toScan(store), asked)
      const states = changing.states.slice(earliest)
      const isSame = states.some((state) => isPartOf(rows, rowsOf(state), cursor === undefined, end.by === 'all'))
      expect(isSame, `a scan of ${rows.length} rows is none of ${states.length} states`).toBe(true)
      cursor = end.next
      ends.set(end.by, (ends.get(end.by) ?? 0) + 1)
    } while (running || cursor !== undefined)
  }
  const changed = (async () => {
    try {
      for (const change of changes) await changing.make(change)
    } finally {
      running = false
    }
  })()
  await Promise.all([changed, scanning()])
  return ends
}

function rowsOf({ points, from }: State): ScanRow[] {
  return expectedRows(points, { tenant: 'acme', selector: {}, from: { ms: Math.max(0, from), ns: 0 } })
}

/** True when the rows are those of a state side by side, from its beginning or to its end where they should be. */
function isPartOf(rows: readonly ScanRow[], all: readonly ScanRow[], fromStart: boolean, toEnd: boolean): boolean {
  const [first] = rows
  if (first === undefined) return !(fromStart && toEnd) || all.length === 0
  const start = all.findIndex((row) => row[0] === first[0] && row[1].ms === first[1].ms)
  if (start < 0 || (fromStart && start > 0) || (toEnd && all.length !== start + rows.length)) return false
  return rows.every((row, i) => {
    const other = all[start + i]
    return other !== undefined && row[0] === other[0] && row[1].ms === other[1].ms && row[2].value === other[2].value
  })
}
