import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { LogTopic, TelemetryLog } from '../../shared/log/port.ts'
import { createMetrics } from '../../shared/process/metrics.ts'
import type { LogRecord } from '../../shared/telemetry.ts'
import { tempFolder } from '../helpers.ts'
import { codeOf, RAW, readAll, record, startConsumer, textsOf } from './log-harness.ts'
import { bytesIn, filesOf, LEAST_BOUND, openEmbedded } from './log-sqlite-harness.ts'

const DEAD: LogTopic = 'telemetry.dead-letter'
const HOUR_MS = 3_600_000

/** 100 records of 4 KiB that begin with their number. */
function block(first: number, ms = Date.now()): LogRecord[] {
  return Array.from({ length: 100 }, (_, i) => record('acme/a', String(first + i).padEnd(4096, '.'), ms))
}

/** Appends blocks until one is refused, at most `blocks`; returns the records appended and the refusal's code. */
async function fill(log: TelemetryLog, topic: LogTopic, blocks: number): Promise<{ appended: number; code: string }> {
  const end = (await log.offsets(topic))[0]?.end ?? 0
  for (let i = 0; i < blocks; i++) {
    const code = await codeOf(log.append(topic, block(end + i * 100)))
    if (code !== 'no error') return { appended: i * 100, code }
  }
  return { appended: blocks * 100, code: 'no error' }
}

async function startOf(log: TelemetryLog, topic = RAW): Promise<number> {
  return (await log.offsets(topic))[0]?.start ?? -1
}

describe('retention by bytes', () => {
  it('unlinks whole files from the oldest on, keeps the bound, and keeps the offsets', async () => {
    const folder = join(tempFolder(), 'log')
    const log = await openEmbedded(folder, { retention: { bytes: LEAST_BOUND } })
    for (let i = 0; i < 80; i++) {
      await log.append(RAW, block(i * 100))
      expect(bytesIn(folder)).toBeLessThanOrEqual(LEAST_BOUND + 1024 * 1024) // the dead letters' and the groups' files
    }
    const [bounds] = await log.offsets(RAW)
    expect(bounds?.end).toBe(8000)
    expect(bounds?.start).toBeGreaterThan(5000)
    const texts = textsOf(await readAll(log, 0))
    expect(texts[0]?.split('.')[0]).toBe(String(bounds?.start))
    expect(texts).toHaveLength(8000 - (bounds?.start ?? 0))
    expect(texts.at(-1)?.split('.')[0]).toBe('7999')
  })

  it('never passes the slowest group: appends are refused, and resume when it commits', async () => {
    const folder = join(tempFolder(), 'log')
    const metrics = createMetrics({ defaults: false })
    const log = await openEmbedded(folder, { retention: { bytes: LEAST_BOUND }, metrics })
    const fast = await startConsumer(log, { group: 'fast' })
    const slow = await startConsumer(log, { group: 'slow' })
    const { appended, code } = await fill(log, RAW, 100)
    expect(code).toBe('log_full')
    expect(appended).toBeGreaterThan(1000)
    await fast.until(appended)
    await slow.until(appended)
    await fast.commit([{ partition: 0, offset: appended }])
    expect(await codeOf(log.append(RAW, block(appended)))).toBe('log_full')
    expect(await startOf(log)).toBe(0)
    expect(bytesIn(folder)).toBeLessThanOrEqual(LEAST_BOUND + 1024 * 1024)

    await slow.commit([{ partition: 0, offset: appended - 1 }])
    expect(await codeOf(log.append(RAW, block(appended)))).toBe('no error')
    const start = await startOf(log)
    expect(start).toBeGreaterThan(0)
    expect(start).toBeLessThan(appended)
    await slow.until(appended + 100)
    expect(textsOf(slow.batches).map((text) => Number(text.split('.')[0]))).toEqual(
      Array.from({ length: appended + 100 }, (_, i) => i),
    )
    const exposed = await metrics.metrics()
    expect(exposed).toMatch(/sluice_log_refused_appends_total\{topic="telemetry.raw",code="log_full"\} 2/)
    expect(exposed).toMatch(
      new RegExp(`sluice_log_appended_records_total\\{topic="telemetry.raw"\\} ${appended + 100}`),
    )
  })

  it('is held back by a group that only registered, also after opening again', async () => {
    const folder = join(tempFolder(), 'log')
    const first = await openEmbedded(folder, { retention: { bytes: LEAST_BOUND } })
    await (await startConsumer(first, { onBatch: async () => {} })).close()
    await first.close()
    const log = await openEmbedded(folder, { retention: { bytes: LEAST_BOUND } })
    expect((await fill(log, RAW, 100)).code).toBe('log_full')
    expect(await startOf(log)).toBe(0)
  })

  it('does not hold back dead letters, which nobody consumes', async () => {
    const folder = join(tempFolder(), 'log')
    const log = await openEmbedded(folder, { deadLetterRetention: { bytes: LEAST_BOUND } })
    expect(await fill(log, DEAD, 60)).toEqual({ appended: 6000, code: 'no error' })
    expect(await startOf(log, DEAD)).toBeGreaterThan(3000)
    expect(bytesIn(folder)).toBeLessThanOrEqual(LEAST_BOUND + 1024 * 1024)
  })

  it('refuses a bound that whole files cannot keep', async () => {
    const open = openEmbedded(join(tempFolder(), 'log'), { retention: { bytes: LEAST_BOUND - 1 } })
    expect(await codeOf(open)).toBe('setting_invalid')
  })
})

describe('retention by age', () => {
  it('removes what is older, as far as every group has read, and remembers offsets and the newest time', async () => {
    const folder = join(tempFolder(), 'log')
    const log = await openEmbedded(folder, { retention: { ageMs: HOUR_MS } })
    const old = Date.now() - 2 * HOUR_MS
    const consumer = await startConsumer(log)
    await log.append(RAW, block(0, old))
    await consumer.until(100)
    await consumer.commit([{ partition: 0, offset: 99 }])
    expect(await startOf(log)).toBe(0)
    await consumer.commit([{ partition: 0, offset: 100 }])
    // Retention runs behind the commit's answer; the next answer comes behind it.
    await log.lag(RAW, 'worker')
    expect((await log.offsets(RAW))[0]).toEqual({ partition: 0, start: 100, end: 100, newest: { ms: old, ns: 0 } })
    expect(filesOf(folder)).toHaveLength(1)
    await log.close()
    const again = await openEmbedded(folder, { retention: { ageMs: HOUR_MS } })
    expect((await again.offsets(RAW))[0]).toEqual({ partition: 0, start: 100, end: 100, newest: { ms: old, ns: 0 } })
    expect(await again.append(RAW, [record('acme/a', 'next')])).toEqual(new Map([[0, 100]]))
  })

  it('keeps what is young', async () => {
    const log = await openEmbedded(join(tempFolder(), 'log'), { retention: { ageMs: HOUR_MS } })
    await log.append(RAW, block(0, Date.now() - HOUR_MS / 2))
    await log.lag(RAW, 'worker')
    expect(await startOf(log)).toBe(0)
  })

  it('is 30 days for dead letters', async () => {
    const log = await openEmbedded(join(tempFolder(), 'log'))
    const day = 24 * HOUR_MS
    await log.append(DEAD, block(0, Date.now() - 31 * day))
    await log.lag(DEAD, 'nobody')
    expect(await startOf(log, DEAD)).toBe(100)
    await log.append(DEAD, block(100, Date.now() - 29 * day))
    await log.lag(DEAD, 'nobody')
    expect(await startOf(log, DEAD)).toBe(100)
  })
})

describe('files', () => {
  it('are sealed when they are full: no WAL, and readable beside the one that is written', async () => {
    const folder = join(tempFolder(), 'log')
    const log = await openEmbedded(folder, { retention: { bytes: LEAST_BOUND * 2 } })
    await fill(log, RAW, 20)
    // Sealing runs behind the answer of an append; the next answer comes behind it.
    await log.lag(RAW, 'nobody')
    const files = filesOf(folder)
    expect(files.length).toBeGreaterThan(2)
    // Bytes 18 and 19 of a SQLite file: 1 for a rollback journal, 2 for a WAL.
    expect(files.map((file) => readFileSync(file)[18])).toEqual(files.map((_, i) => (i === files.length - 1 ? 2 : 1)))
    await log.close()
    const again = await openEmbedded(folder, { retention: { bytes: LEAST_BOUND * 2 } })
    expect(textsOf(await readAll(again, 0)).map((text) => Number(text.split('.')[0]))).toEqual(
      Array.from({ length: 2000 }, (_, i) => i),
    )
  })
})
