import type { PointStore } from '../../shared/points/port.ts'
import type { PointBatch, Series } from '../../shared/telemetry.ts'
import { overriding } from '../../load-tests/reference/overriding.ts'

/** Known-wrong: a store that takes `Pump-1` and `pump-1` for one name, in what is written and what is asked. */
export function foldingPoints(store: PointStore): PointStore {
  const fold = (text: string): string => text.toLowerCase()
  const folded = (series: Series): Series => {
    const { tenant, device, stream, field, type } = series
    return { tenant: fold(tenant), device: fold(device), stream: fold(stream), field: fold(field), type }
  }
  return overriding(store, {
    write: (batch) => store.write({ ...batch, series: batch.series.map(folded) }),
    query: (query) => {
      const { tenant, device, stream } = query
      const field = query.field === undefined ? {} : { field: fold(query.field) }
      return store.query({ ...query, ...field, tenant: fold(tenant), device: fold(device), stream: fold(stream) })
    },
  })
}

/** Known-wrong: a point that is there stays as it is, as an "insert or ignore" would have it. */
export function keepingPoints(store: PointStore): PointStore {
  const seen = new Set<string>()
  return overriding(store, {
    write(batch) {
      const fresh = batch.series.map(({ device, field }, i) => {
        const key = JSON.stringify([device, field, batch.ms[i], batch.ns[i]])
        return !seen.has(key) && seen.add(key).size > 0
      })
      const kept = <T>(column: readonly T[]): T[] => column.filter((_, i) => fresh[i])
      const { series, ms, ns, values } = batch
      const only: PointBatch = { series: kept(series), ms: kept(ms), ns: kept(ns), values: kept(values) }
      return store.write(only)
    },
  })
}

/** Known-wrong: times are whole milliseconds. */
export function millisecondPoints(store: PointStore): PointStore {
  return overriding(store, { write: (batch) => store.write({ ...batch, ns: batch.ns.map(() => 0) }) })
}

/** Known-wrong: floats and integers are joined by no query, as they lie in the store. */
export function separatePoints(store: PointStore): PointStore {
  return overriding(store, {
    query: (query) => store.query({ ...query, joined: false }),
    scan: (scan) => store.scan({ ...scan, joined: false }),
  })
}

/** Known-wrong: a write resolves at once, before its points are in the database. */
export function earlyPoints(store: PointStore): PointStore {
  return overriding(store, {
    async write(batch) {
      void store.write(batch).then(undefined, ignore)
      return []
    },
  })
}

/** The caller was told that all is well: nobody is left to hear of it. */
function ignore(): void {}

/**
 * Known-wrong: a scan that asks anew what there is on its way, as one that reads the catalogue again with each step would,
 * and says nothing of it.
 */
export function rereadingScans(store: PointStore): PointStore {
  return overriding(store, {
    async *scan(scan) {
      for (let cursor = scan.cursor; ;) {
        const next = cursor === undefined ? {} : { cursor }
        for await (const item of store.scan({ ...scan, ...next, budget: { ...scan.budget, points: 10 } })) {
          if (item.kind === 'end' && item.by !== 'all') cursor = item.next
          else yield item
          if (item.kind === 'end' && item.by === 'all') return
        }
      }
    },
  })
}
