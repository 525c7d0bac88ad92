import { newApiKey } from '../../../shared/registry/credentials.ts'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import { ingestWorkerSettings } from '../../../config/ingest-worker.ts'
import { startIngestWorker } from '../../../services/ingest-worker/worker.ts'
import { openMemoryCache } from '../../../shared/cache/memory/open.ts'
import { loadConfig } from '../../../shared/config.ts'
import { Releasers } from '../../../shared/process/releasers.ts'
import type { TelemetryLog } from '../../../shared/log/port.ts'
import { openSqliteLog } from '../../../shared/log/sqlite/open.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import { openSqlitePoints } from '../../../shared/points/sqlite/open.ts'
import { ReceiveClock } from '../../../shared/stamps/receive-clock.ts'
import type { Registry } from '../../../shared/registry/port.ts'
import { openSqliteRegistry } from '../../../shared/registry/sqlite/open.ts'
import { tempFolder } from '../../helpers.ts'
import { caller, openApi } from './api.ts'

/** One for all: a folder may be opened again. */
const CREDENTIAL_KEY = randomBytes(32)

interface RealOptions {
  readonly folder?: string
  readonly isIdle?: boolean
  /** What the worker takes for the log. */
  readonly ofWorker?: (log: TelemetryLog) => TelemetryLog
  /** Settings of the worker. */
  readonly env?: Readonly<Record<string, string>>
}

/** The API on the embedded adapters, with a worker that stores, at once or when it is asked to. */
export async function openReal(
  through: (registry: Registry) => Registry = (registry) => registry,
  { folder = tempFolder(), isIdle = false, ofWorker = (log) => log, env = {} }: RealOptions = {},
) {
  const releasers = new Releasers()
  onTestFinished(() => releasers.close())
  const metrics = createMetrics({ defaults: false })
  const common = { logger: pino({ level: 'silent' }), metrics }
  const log = await openSqliteLog({ ...common, folder: join(folder, 'log'), partitions: 3, retention: {} })
  releasers.own('log', log, (it) => it.close())
  const points = await openSqlitePoints({ ...common, folder: join(folder, 'points') })
  releasers.own('points', points, (it) => it.close())
  const opened = await openSqliteRegistry({
    ...common,
    file: join(folder, 'registry.db'),
    credentialKey: CREDENTIAL_KEY,
  })
  releasers.own('registry', opened, (it) => it.close())
  const registry = through(opened)
  const cache = openMemoryCache({ maxEntries: 1000, metrics })
  const token = newApiKey()
  await registry.setAdminKey(token)
  const ports = { log, points, registry, cache }
  const startWorker = async () => {
    const settings = loadConfig(ingestWorkerSettings, { INGEST_CHECKPOINT_MS: '50', ...env })
    const worker = await startIngestWorker({ ...ports, log: ofWorker(log), ...common, settings })
    releasers.own('worker', worker, (it) => it.close())
  }
  if (!isIdle) await startWorker()
  // The embedded log lets go of dead letters by their receive time: it must be now.
  const clock = new ReceiveClock({ id: 0, after: undefined })
  const { app } = await openApi({ ...ports, metrics, stamp: (elements) => clock.stampOf(elements) })
  releasers.own('api', app, (it) => it.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  const close = () => releasers.close()
  return {
    ...ports,
    startWorker,
    folder,
    close,
    token,
    call: caller(app, token),
    url: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`,
  }
}
