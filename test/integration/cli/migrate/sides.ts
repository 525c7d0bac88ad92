import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { migrate, sourceState, type MigrationReport } from '../../../../services/cli/migrate/migration.ts'
import type { MigrationPorts } from '../../../../services/cli/migrate/migration-ports.ts'
import { Progress } from '../../../../services/cli/migrate/progress.ts'
import { deadLetterToRecord } from '../../../../shared/dead-letter.ts'
import { createLogger } from '../../../../shared/process/logger.ts'
import { openSqliteLog } from '../../../../shared/log/sqlite/open.ts'
import { createMetrics } from '../../../../shared/process/metrics.ts'
import { openSqlitePoints } from '../../../../shared/points/sqlite/open.ts'
import { openSqliteRegistry, openSqliteTables } from '../../../../shared/registry/sqlite/open.ts'
import type { LogRecord, Series } from '../../../../shared/telemetry.ts'
import { tempFolder } from '../../../helpers.ts'

const KEY = Buffer.alloc(32, 7)
const GROUP = 'ingest-worker'
export const START_MS = 1_800_000_000_000

const shared = () => ({ logger: createLogger('silent'), metrics: createMetrics({ defaults: false }) })

/** Everything that a deployment keeps, on embedded adapters; closed with the test. */
export async function openSide(folder: string, partitions?: number): Promise<MigrationPorts> {
  const count = partitions === undefined ? {} : { partitions }
  const log = await openSqliteLog({ folder: join(folder, 'log'), ...count, retention: {}, ...shared() })
  onTestFinished(() => log.close())
  const points = await openSqlitePoints({ folder: join(folder, 'points'), ...shared() })
  onTestFinished(() => points.close())
  const file = join(folder, 'registry.db')
  const tables = await openSqliteTables({ file, credentialKey: KEY, ...shared() })
  onTestFinished(() => tables.close())
  return { log, points, tables }
}

export async function openTestRegistry(folder: string) {
  const registry = await openSqliteRegistry({ file: join(folder, 'registry.db'), credentialKey: KEY, ...shared() })
  return registry
}

export const DEVICES = ['pump-1', 'Pump-1', 'pump-2', 'pump-3']

export function recordOf(device: string, index: number, value = `{"n":${index}}`): LogRecord {
  return { key: `acme/${device}`, value: Buffer.from(value), ms: START_MS + index, ns: index % 7, headers: undefined }
}

/** A folder as standalone left it: logins, rules, points, records read and unread, dead letters. */
export async function filledFolder(unread = 2_500): Promise<{ folder: string; secrets: Map<string, string> }> {
  const folder = tempFolder()
  const registry = await openTestRegistry(folder)
  const made = await registry.createDevices(DEVICES.map((device) => ({ tenant: 'acme', device, tags: { line: '4' } })))
  const secrets = new Map(made.map(({ username, secret }) => [username, secret]))
  await registry.createApplication('panel', [{ effect: 'allow', action: 'subscribe', topic: 't/acme/#' }])
  await registry.setAdminKey(`slk_${'a'.repeat(32)}`)
  await registry.pinFieldTypes([{ tenant: 'acme', stream: 'telemetry', field: 'n', type: 'float' }])
  const fields = { n: { time: { ms: START_MS, ns: 0 }, value: 5, type: 'float' as const } }
  const place = { lastSeenMs: START_MS, log: 'l', partition: 0, offset: 10_000_000 }
  await registry.writeState([{ tenant: 'acme', device: 'pump-1', stream: 'telemetry', fields, ...place }])
  await registry.close()
  const { log, points, tables } = await openSide(folder, 2)
  // One that is gone from the registry keeps its history.
  for (const device of [...DEVICES, 'removed']) {
    const of = (field: string, type: Series['type']): Series => ({
      tenant: 'acme',
      device,
      stream: 'telemetry',
      field,
      type,
    })
    const series = [of('big', 'integer'), of('n', 'float'), of('on', 'boolean'), of('text', 'string')]
    const values = [2n ** 60n, -0, true, 'ä "quoted", \\ text']
    for (const [index, one] of series.entries()) {
      const count = 1_500
      await points.write({
        series: Array.from({ length: count }, () => one),
        ms: Array.from({ length: count }, (_, i) => START_MS + i),
        ns: Array.from({ length: count }, (_, i) => i % 3),
        values: Array.from({ length: count }, () => values[index] ?? 0),
      })
    }
  }
  const read = await log.consume({
    topic: 'telemetry.raw',
    group: GROUP,
    maxRecords: 10,
    onBatch: async () => {},
    onError: (error) => {
      throw error
    },
  })
  const already = Array.from({ length: 50 }, (_, i) => recordOf(DEVICES[i % DEVICES.length] ?? '', i))
  await log.append('telemetry.raw', already)
  const ends = await log.offsets('telemetry.raw')
  await read.commit(ends.map(({ partition, end }) => ({ partition, offset: end })))
  await read.close()
  for (let from = 0; from < unread; from += 100) {
    const records = Array.from({ length: 100 }, (_, i) => recordOf(DEVICES[i % DEVICES.length] ?? '', 1000 + from + i))
    await log.append('telemetry.raw', records)
  }
  await log.append(
    'telemetry.dead-letter',
    Array.from({ length: 120 }, (_, index) => letterRecord(index)),
  )
  await Promise.all([log.close(), points.close(), tables.close()])
  return { folder, secrets }
}

function letterRecord(index: number): LogRecord {
  return deadLetterToRecord({
    stage: index % 2 === 0 ? 'decode' : 'publish',
    code: 'payload_not_json',
    detail: 'no JSON',
    who: 'acme/pump-1',
    topic: 't/acme/pump-1/telemetry',
    key: 'acme/pump-1',
    payload: Buffer.from('{'),
    ms: START_MS + index,
    ns: 1,
    source: index % 2 === 0 ? { partition: 0, offset: index, element: 0 } : undefined,
    firstFailedMs: START_MS,
    attempts: 1,
  })
}

/** One run, as the command makes it. */
export async function run(
  folder: string,
  source: MigrationPorts,
  target: MigrationPorts,
  signal = new AbortController().signal,
): Promise<MigrationReport> {
  const progress = Progress.open(join(folder, 'migration.json'), 'a target', await sourceState(source))
  return migrate({ source, target, signal, onProgress: () => {} }, progress)
}
