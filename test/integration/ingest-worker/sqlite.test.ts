import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { pino } from 'pino'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { ingestWorkerSettings } from '../../../config/ingest-worker.ts'
import { startIngestWorker } from '../../../services/ingest-worker/worker.ts'
import { openMemoryCache } from '../../../shared/cache/memory/open.ts'
import { loadConfig } from '../../../shared/config.ts'
import { recordToDeadLetter } from '../../../shared/dead-letter.ts'
import { Releasers } from '../../../shared/process/releasers.ts'
import { decodeLatest, latestKey } from '../../../shared/latest-state.ts'
import type { TelemetryLog } from '../../../shared/log/port.ts'
import { openSqliteLog } from '../../../shared/log/sqlite/open.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import { openSqlitePoints } from '../../../shared/points/sqlite/open.ts'
import { openSqliteRegistry } from '../../../shared/registry/sqlite/open.ts'
import type { LogRecord } from '../../../shared/telemetry.ts'
import { tempFolder } from '../../helpers.ts'
import { PATIENCE } from '../../patience.ts'
import { withMethods } from '../../../load-tests/reference/overriding.ts'

// Of today: the log drops dead letters that are older than a month.
const T = Date.now()
const credentialKey = randomBytes(32)
const logger = pino({ level: 'silent' })

/** The embedded adapters on a folder, and a worker on them; `close` stops all in order. */
async function open(folder: string, options: { wrap?: (log: TelemetryLog) => TelemetryLog; partitions?: number } = {}) {
  const metrics = createMetrics({ defaults: false })
  const releasers = new Releasers()
  onTestFinished(() => releasers.close())
  const shared = { logger, metrics }
  const log = releasers.own(
    'log',
    await openSqliteLog({ folder: join(folder, 'log'), partitions: options.partitions ?? 1, retention: {}, ...shared }),
    (it) => it.close(),
  )
  const points = releasers.own('points', await openSqlitePoints({ folder: join(folder, 'points'), ...shared }), (it) =>
    it.close(),
  )
  const file = join(folder, 'registry.sqlite')
  const registry = releasers.own('registry', await openSqliteRegistry({ file, credentialKey, ...shared }), (it) =>
    it.close(),
  )
  const cache = releasers.own('cache', openMemoryCache({ maxEntries: 1000, metrics }), (it) => it.close())
  const settings = loadConfig(ingestWorkerSettings, { INGEST_CHECKPOINT_MS: '20' })
  const wrapped = options.wrap?.(log) ?? log
  releasers.own(
    'worker',
    await startIngestWorker({ log: wrapped, points, registry, cache, settings, ...shared }),
    (it) => it.close(),
  )
  return { log, points, registry, cache, close: () => releasers.close() }
}

function record(payload: unknown, key: string, ms: number): LogRecord {
  const value = Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload))
  return { key, value, ms, ns: 0, headers: undefined }
}

async function settled(log: TelemetryLog): Promise<void> {
  await vi.waitFor(
    async () => {
      const lag = await log.lag('telemetry.raw', 'ingest-worker')
      expect(lag.map(({ records }) => records)).toEqual(lag.map(() => 0))
    },
    { ...PATIENCE, interval: 10 },
  )
}

async function letters(log: TelemetryLog) {
  const found = []
  for (let partition = 0; partition < log.partitions; partition++) {
    const from = { offset: 0 }
    const signal = new AbortController().signal
    const topic = 'telemetry.dead-letter'
    for await (const batch of log.read({ topic, partition, from, maxRecords: 1000, follow: false, signal })) {
      found.push(...batch.records.flatMap((one) => recordToDeadLetter(one) ?? []))
    }
  }
  return found
}

const payloads = Array.from({ length: 3000 }, (_, n) => {
  if (n % 500 === 77) return '{not JSON'
  if (n % 500 === 78) return { ts: T + n, n: 'a word', state: n % 2 === 0 }
  if (n % 500 === 79)
    return [{ ts: T + n, n, state: [[n]], o: { p: 1e20, ['q'.repeat(1025)]: 2 } }, { ts: T + n, n: [{}] }, 5]
  return { ts: T + n, n, state: n % 2 === 0 }
})

async function device(ports: Awaited<ReturnType<typeof open>>, name: string) {
  const range = { tenant: 'demo', device: name, stream: 'telemetry' }
  const { series } = await ports.points.query({ ...range, limit: 10_000 })
  const n = series.find(({ field, type }) => field === 'n' && type === 'float')
  return { times: n?.times.map(({ ms }) => ms - T), values: n?.values, fields: series.map(({ field }) => field) }
}

const good = payloads.flatMap((_, n) => (n % 500 === 77 || n % 500 === 78 ? [] : [n]))
/** Fields of one poisoned record, in the order of its text. */
const poison = [
  [0, 'state', 'list_left_out'],
  [0, `o.${'q'.repeat(64)}...`, 'field_name_invalid'],
  [1, 'n', 'list_left_out'],
  [2, null, 'reading_not_object'],
]

describe('the worker on the embedded adapters', () => {
  it.each([1, 3])('ends every reading as points or as a dead letter, with %i partitions', async (partitions) => {
    const ports = await open(tempFolder(), { partitions })
    const names = ['a', 'b', 'c', 'd']
    for (let from = 0; from < payloads.length; from += 500) {
      const part = payloads.slice(from, from + 500)
      await Promise.all(
        names.map((name) =>
          ports.log.append(
            'telemetry.raw',
            part.map((one, i) => record(one, `demo/${name}`, T + from + i)),
          ),
        ),
      )
    }
    await settled(ports.log)
    for (const name of names) {
      expect(await device(ports, name)).toEqual({ times: good, values: good, fields: ['n', 'n', 'o.p', 'state'] })
      const { series } = await ports.points.query({ tenant: 'demo', device: name, stream: 'telemetry', limit: 10_000 })
      // A word among the numbers is stored beside them, and an array is not.
      expect(series.find(({ field, type }) => field === 'n' && type === 'string')?.values).toEqual(
        Array(6).fill('a word'),
      )
      expect(series.find(({ field }) => field === 'state')?.times).toHaveLength(payloads.length - 12)
    }
    const found = await letters(ports.log)
    const byCode = (code: string) => found.filter((one) => one.code === code)
    expect(byCode('payload_not_json')).toHaveLength(24)
    const poisoned = byCode('list_left_out')
    expect(poisoned).toHaveLength(24)
    for (const { faults, payload } of poisoned) {
      expect(faults?.first.map(({ element, path, code }) => [element, path, code])).toEqual(poison)
      expect(JSON.parse(Buffer.from(payload).toString())).toHaveLength(3)
    }
    expect(found).toHaveLength(48)
    const [state] = await ports.registry.readState('demo', 'a')
    expect(state?.fields).toMatchObject({ n: { value: 2999, time: { ms: T + 2999 } }, state: { value: false } })
    await vi.waitFor(async () => {
      const cached = decodeLatest((await ports.cache.get(latestKey('demo', 'a', 'telemetry'))) ?? '')
      // What the worker keeps for itself is not for the cache.
      const { kept, clock, firstJson } = state ?? {}
      expect({ ...cached, kept, clock, firstJson }).toEqual(state)
    }, PATIENCE)
    await ports.close()
  })

  it('a replay of everything changes nothing', async () => {
    const folder = tempFolder()
    // A worker whose commits never arrive: the next one begins at the start.
    const wrap = (log: TelemetryLog): TelemetryLog =>
      withMethods(log, {
        consume: async (options: Parameters<TelemetryLog['consume']>[0]) =>
          withMethods(await log.consume(options), { commit: async () => {} }),
      })
    const first = await open(folder, { wrap })
    await first.log.append(
      'telemetry.raw',
      payloads.map((one, n) => record(one, 'demo/a', T + n)),
    )
    await vi.waitFor(async () => expect((await device(first, 'a')).times).toHaveLength(good.length), PATIENCE)
    await first.close()

    const second = await open(folder)
    await settled(second.log)
    expect(await device(second, 'a')).toEqual({ times: good, values: good, fields: ['n', 'n', 'o.p', 'state'] })
    const sources = (await letters(second.log)).map(({ source }) => JSON.stringify(source))
    expect(sources).toHaveLength(24)
    expect(new Set(sources).size).toBe(12)
    await second.close()
  })
})
