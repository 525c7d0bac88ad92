import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { MigrationPorts } from '../../../../services/cli/migrate/migration-ports.ts'
import { planMigration } from '../../../../services/cli/migrate/migration.ts'
import { recordToDeadLetter } from '../../../../shared/dead-letter.ts'
import type { LogTopic, TelemetryLog } from '../../../../shared/log/port.ts'
import type { LogRecord } from '../../../../shared/telemetry.ts'
import { tempFolder } from '../../../helpers.ts'
import { overriding } from '../../../../load-tests/reference/overriding.ts'
import { DEVICES, filledFolder, openSide, openTestRegistry, run, START_MS } from './sides.ts'

async function recordsIn(log: TelemetryLog, topic: LogTopic): Promise<LogRecord[]> {
  const found: LogRecord[] = []
  const signal = new AbortController().signal
  for (let partition = 0; partition < log.partitions; partition++) {
    const read = log.read({ topic, partition, from: { offset: 0 }, maxRecords: 500, follow: false, signal })
    for await (const batch of read) found.push(...batch.records)
  }
  return found
}

/** Both sides of a migration from a folder of standalone's. */
async function openBoth(folder: string, targetFolder = tempFolder()) {
  return { folder, targetFolder, source: await openSide(folder), target: await openSide(targetFolder, 5) }
}

async function close({ log, points, tables }: MigrationPorts): Promise<void> {
  await Promise.all([log.close(), points.close(), tables.close()])
}

describe('a migration', () => {
  it('moves everything, says so, and a second run changes nothing', async () => {
    const { folder, secrets } = await filledFolder()
    const { source, target, targetFolder } = await openBoth(folder)
    const report = await run(folder, source, target)
    expect(report.differences).toEqual({ total: 0, shown: [] })
    expect(report).toMatchObject({ ok: true, resumed: false, series: 20, onlyInTarget: 0 })
    const counts = Object.fromEntries(report.comparisons.map(({ what, target: { count } }) => [what, count]))
    expect(counts).toMatchObject({ devices: 4, applications: 1, 'acl rules': 1, 'api keys': 0, 'device state': 1 })
    expect(counts).toMatchObject({ credentials: 10, points: 30_000, 'unconsumed log': 2_500, 'dead letters': 120 })

    const again = await run(folder, source, target)
    expect(again).toMatchObject({ ok: true, resumed: true })
    expect(await recordsIn(target.log, 'telemetry.raw')).toHaveLength(2_500)
    expect(await recordsIn(target.log, 'telemetry.dead-letter')).toHaveLength(120)
    await close(target)
    const registry = await openTestRegistry(targetFolder)
    onTestFinished(() => registry.close())
    for (const [username, secret] of secrets) {
      expect(await registry.verifySecret(username, secret)).toMatchObject({ name: username })
    }
    expect(await registry.verifyApiKey(`slk_${'a'.repeat(32)}`)).toBeUndefined()
    // The first record of the new log is newer than the state, although its offset is lower than the old one's.
    const [state] = await registry.readState('acme', 'pump-1')
    expect(state?.offset).toBeLessThan(0)
  })

  it('keeps the order of a device, and dead letters apart from those of the new log', async () => {
    const { folder } = await filledFolder()
    const { source, target } = await openBoth(folder)
    await run(folder, source, target)
    const records = await recordsIn(target.log, 'telemetry.raw')
    for (const device of DEVICES) {
      const times = records.filter(({ key }) => key === `acme/${device}`).map(({ ms }) => ms - START_MS)
      expect(times).toEqual([...times].sort((a, b) => a - b))
      expect(times).toHaveLength(2_500 / DEVICES.length)
    }
    const letters = (await recordsIn(target.log, 'telemetry.dead-letter')).map(recordToDeadLetter)
    const { log } = JSON.parse(readFileSync(join(folder, 'migration.json'), 'utf8')) as { log: string }
    expect(letters.filter((letter) => letter?.source !== undefined)).toHaveLength(60)
    for (const letter of letters) expect(letter?.log).toBe(letter?.source === undefined ? undefined : log)
  })

  it('says before what it would move', async () => {
    const { folder } = await filledFolder(300)
    const plan = await planMigration(await openSide(folder))
    expect(plan).toMatchObject({ points: 30_000, series: 20, devicesWithPoints: 5, unconsumed: 300, deadLetters: 120 })
    expect(plan.rows).toMatchObject({ devices: 4, tenants: 1, api_keys: 0 })
  })

  it('stops before it copies anything when the cluster has another device of a name', async () => {
    const { folder } = await filledFolder(100)
    const targetFolder = tempFolder()
    const registry = await openTestRegistry(targetFolder)
    await registry.createDevices([{ tenant: 'acme', device: 'pump-2' }])
    await registry.close()
    const { source, target } = await openBoth(folder, targetFolder)
    await expect(run(folder, source, target)).rejects.toMatchObject({
      code: 'already_exists',
      message: expect.stringContaining('devices acme/pump-2') as string,
    })
    expect(await target.tables.page('applications', { limit: 10 })).toEqual([])
    expect(await target.points.devices({ limit: 10 })).toEqual([])
  })
})

/** Rejects the n-th change of the target, before or behind its effect, and everything after it: a kill -9. */
function dying(target: MigrationPorts, at: number, isBehind: boolean): MigrationPorts {
  let changes = 0
  const change = async <T>(work: () => Promise<T>): Promise<T> => {
    changes += 1
    if (changes > at || (changes === at && !isBehind)) throw new Error('killed')
    const result = await work()
    if (changes === at) throw new Error('killed')
    return result
  }
  const { log, points, tables } = target
  return {
    log: overriding(log, { append: (topic, records) => change(() => log.append(topic, records)) }),
    points: overriding(points, { write: (batch) => change(() => points.write(batch)) }),
    tables: overriding(tables, { insert: (table, rows) => change(() => tables.insert(table, rows)) }),
  }
}

/** Rows are inserted again from the first one on; behind them every change that was noted is progress. */
function areRowsDone(folder: string): boolean {
  const file = join(folder, 'migration.json')
  return existsSync(file) && (JSON.parse(readFileSync(file, 'utf8')) as { tables: boolean }).tables
}

describe('a migration that dies', () => {
  it('at any change of the cluster goes on, and ends the same', async () => {
    const { folder } = await filledFolder()
    const { source, target } = await openBoth(folder)
    let deaths = 0
    for (; ; deaths++) {
      const attempt = run(folder, source, dying(target, areRowsDone(folder) ? 2 : 1 + deaths, deaths % 2 === 0))
      const report = await attempt.catch((error: unknown) => {
        expect(String(error)).toContain('killed')
      })
      if (report === undefined) continue
      expect(report).toMatchObject({ ok: true, differences: { total: 0 } })
      break
    }
    expect(deaths).toBeGreaterThan(10)
    // Not one record twice, whether the death came before or behind its append.
    expect(await recordsIn(target.log, 'telemetry.raw')).toHaveLength(2_500)
    expect(await recordsIn(target.log, 'telemetry.dead-letter')).toHaveLength(120)
  })

  it('and standalone ran in between: what came then moves, too', async () => {
    const { folder } = await filledFolder()
    const { source, target } = await openBoth(folder)
    await expect(run(folder, source, dying(target, 14, true))).rejects.toThrow('killed')
    const series = { tenant: 'acme', device: 'Pump-1', stream: 'telemetry', field: 'n', type: 'float' as const }
    await source.points.write({ series: [series], ms: [START_MS + 1_000_000], ns: [0], values: [1] })
    await source.log.append('telemetry.raw', [
      { ...(await recordsIn(source.log, 'telemetry.raw'))[0]!, ms: START_MS + 1_000_000 },
    ])
    const report = await run(folder, source, target)
    expect(report).toMatchObject({ ok: true, resumed: true })
    expect(report.comparisons.find(({ what }) => what === 'points')?.target.count).toBe(30_001)
    expect(report.comparisons.find(({ what }) => what === 'unconsumed log')?.target.count).toBe(2_501)
  })
})

describe('a migration that is told to stop', () => {
  it('says nothing about what it has not looked at, and goes on later', async () => {
    const { folder } = await filledFolder(300)
    const { source, target } = await openBoth(folder)
    for (const reads of [1, 4, 8]) {
      const stop = new AbortController()
      let left = reads
      const read: TelemetryLog['read'] = (options) => {
        left -= 1
        if (left === 0) stop.abort()
        return source.log.read(options)
      }
      const stopped = run(folder, { ...source, log: overriding(source.log, { read }) }, target, stop.signal)
      await expect(stopped).rejects.toMatchObject({ name: 'AbortError' })
    }
    expect(await run(folder, source, target)).toMatchObject({ ok: true, resumed: true })
    expect(await recordsIn(target.log, 'telemetry.raw')).toHaveLength(300)
  })
})

describe('the comparison sees', () => {
  const check = async (wrong: (target: MigrationPorts) => MigrationPorts): Promise<string[]> => {
    const { folder } = await filledFolder(300)
    const { source, target } = await openBoth(folder)
    const report = await run(folder, source, wrong(target))
    expect(report.ok).toBe(false)
    const differing = report.comparisons.filter(({ source: a, target: b }) => a.checksum !== b.checksum)
    expect(report.differences.total).toBeGreaterThan(0)
    return differing.map(({ what }) => what)
  }

  it('an append that is answered and not done', async () => {
    const differing = await check((target) => ({
      ...target,
      log: overriding(target.log, {
        append: (topic, records) =>
          topic === 'telemetry.raw' ? Promise.resolve(new Map()) : target.log.append(topic, records),
      }),
    }))
    expect(differing).toEqual(['unconsumed log'])
  })

  it('a store that loses a point of each write', async () => {
    const differing = await check((target) => ({
      ...target,
      points: overriding(target.points, {
        write: ({ series, ms, ns, values }) =>
          target.points.write({ series: series.slice(1), ms: ms.slice(1), ns: ns.slice(1), values: values.slice(1) }),
      }),
    }))
    expect(differing).toEqual(['points'])
  })

  it('a store that changes a value', async () => {
    const differing = await check((target) => ({
      ...target,
      points: overriding(target.points, {
        write: (batch) =>
          target.points.write({ ...batch, values: batch.values.map((value) => (Object.is(value, -0) ? 0 : value)) }),
      }),
    }))
    expect(differing).toEqual(['points'])
  })

  it('a registry that leaves out a credential', async () => {
    const differing = await check((target) => ({
      ...target,
      tables: overriding(target.tables, {
        insert: (table, rows) => target.tables.insert(table, table === 'credentials' ? rows.slice(1) : rows),
      }),
    }))
    expect(differing).toEqual(['credentials'])
  })
})
