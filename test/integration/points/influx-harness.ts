import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, onTestFinished } from 'vitest'
import { SluiceError } from '../../../shared/errors.ts'
import type { PointStore, RejectedPoint } from '../../../shared/points/port.ts'
import type { PointBatch } from '../../../shared/telemetry.ts'
import { startFaultProxy, type FaultProxy } from '../../../load-tests/servers/fault-proxy.ts'
import { startInfluxdb, type Influxdb } from '../../../load-tests/servers/influxdb.ts'

/** One server for the tests of a file; what `get` gives is there when tests run. */
export function useInfluxdb(): () => Influxdb {
  let server: Influxdb | undefined
  let folder = ''
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-influx-'))
    server = await startInfluxdb(folder)
  })
  afterAll(async () => {
    await server?.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  return () => {
    if (server === undefined) throw new Error('the server is started before the tests')
    return server
  }
}

/** The server seen through a proxy that can misbehave; closed with the test. */
export async function behindFaults(server: Influxdb): Promise<{ proxy: FaultProxy; behind: Influxdb }> {
  const proxy = await startFaultProxy(server.url)
  onTestFinished(() => proxy.close())
  return { proxy, behind: { ...server, url: proxy.url } }
}

/** Writes as the worker does: again and again until the store has taken it. `onFailure` sees each failure. */
export async function writeUntilStored(
  store: PointStore,
  batch: PointBatch,
  onFailure: (error: SluiceError) => void = () => {},
): Promise<readonly RejectedPoint[]> {
  for (;;) {
    try {
      return await store.write(batch)
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error
      onFailure(error)
    }
  }
}
