import { join } from 'node:path'
import type { PackedBatch } from './batch.ts'
import { chunkPaths } from './chunk-paths.ts'
import { int, optionalInt, readTable, type Row } from './row.ts'

type Rows = Map<number, Row>

/**
 * Fills up the ids of which the names are lost, so that no new series or tenant gets one that points lie under: those that
 * are named by a series, by unsealed `batches`, or by the files of chunks in a folder. Ids go up without a hole. Returns
 * how many had to be filled up.
 */
export function fillUp(tenants: Rows, series: Rows, batches: readonly PackedBatch[], chunks: string): number {
  let filled = 0
  let lastSeries = Math.max(0, ...series.keys())
  for (const batch of batches) for (const id of batch.series) lastSeries = Math.max(lastSeries, id)
  let lastTenant = Math.max(0, ...tenants.keys())
  for (const path of chunkPaths(chunks)) {
    lastTenant = Math.max(lastTenant, parseInt(path, 10))
    const [row] = readTable(join(chunks, path), 'SELECT max(series) AS last FROM chunk') ?? []
    lastSeries = Math.max(lastSeries, (row && optionalInt(row, 'last')) ?? 0)
  }
  for (let id = 1; id <= lastSeries; id++) {
    if (series.has(id)) continue
    filled++
    series.set(id, { id, tenant: 0, device: '', stream: '', field: '', type: 0, hidden: 1 })
  }
  for (const row of series.values()) lastTenant = Math.max(lastTenant, int(row, 'tenant'))
  for (let id = 1; id <= lastTenant; id++) {
    if (tenants.has(id)) continue
    filled++
    // No tenant can be called so.
    tenants.set(id, { id, name: `lost/${id}`, keep_ms: null })
  }
  return filled
}
