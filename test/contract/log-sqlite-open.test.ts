import { chmodSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { getuid } from 'node:process'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { SluiceError } from '../../shared/errors.ts'
import { openSqliteLog } from '../../shared/log/sqlite/open.ts'
import { createLogger } from '../../shared/process/logger.ts'
import { createMetrics } from '../../shared/process/metrics.ts'
import { tempFolder } from '../helpers.ts'
import { codeOf, RAW, readAll, record, startConsumer, textsOf } from './log-harness.ts'
import { filesOf, openEmbedded } from './log-sqlite-harness.ts'

function setVersion(file: string, version: number): void {
  const database = new DatabaseSync(file)
  database.exec(`PRAGMA user_version = ${version}`)
  database.close()
}

function versionOf(file: string): number {
  const database = new DatabaseSync(file)
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version'])
  database.close()
  return version
}

describe('opening', () => {
  it('makes the folder, with all its parents', async () => {
    const folder = join(tempFolder(), 'a', 'b', 'log')
    const log = await openEmbedded(folder)
    expect(await log.offsets(RAW)).toEqual([{ partition: 0, start: 0, end: 0, newest: undefined }])
    expect(readdirSync(folder)).toContain('groups.sqlite')
  })

  it('names a log, and one that is made anew in the same place otherwise', async () => {
    const folder = join(tempFolder(), 'log')
    const names: string[] = []
    for (let i = 0; i < 2; i++) {
      const log = await openEmbedded(folder)
      await log.append(RAW, [record('acme/a', '1')])
      names.push(...(await readAll(log, 0)).map((batch) => batch.log))
      await log.close()
      rmSync(folder, { recursive: true })
    }
    expect(new Set(names).size).toBe(2)
  })

  it('leaves nothing but databases behind, without WAL', async () => {
    const folder = join(tempFolder(), 'log')
    const log = await openEmbedded(folder)
    await log.append(RAW, [record('acme/a', '1')])
    await log.close()
    expect(readdirSync(folder).filter((name) => !name.endsWith('.sqlite'))).toEqual([])
  })

  it('refuses a folder that is open already, and takes it when it is closed', async () => {
    const folder = join(tempFolder(), 'log')
    const log = await openEmbedded(folder)
    expect(await codeOf(openEmbedded(folder))).toBe('data_locked')
    await log.append(RAW, [record('acme/a', '1')])
    await log.close()
    await openEmbedded(folder)
  })

  it('refuses another number of partitions, naming both', async () => {
    const folder = join(tempFolder(), 'log')
    await (await openEmbedded(folder, { partitions: 3 })).close()
    const failure = await openEmbedded(folder, { partitions: 4 }).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(SluiceError)
    expect(failure).toMatchObject({ code: 'log_partitions_changed' })
    expect(String(failure)).toMatch(/has 3 partitions.*is 4/)
    expect((await openEmbedded(folder, { partitions: 3 })).partitions).toBe(3)
  })

  it('takes the number of partitions that it was made with when none is asked for', async () => {
    const folder = join(tempFolder(), 'log')
    await (await openEmbedded(folder, { partitions: 3 })).close()
    for (const [where, partitions] of [[folder, 3] as const, [join(tempFolder(), 'new'), 1] as const]) {
      const metrics = createMetrics({ defaults: false })
      const log = await openSqliteLog({ folder: where, retention: {}, logger: createLogger('silent'), metrics })
      expect(log.partitions).toBe(partitions)
      await log.close()
    }
  })

  it('refuses what a newer version has written', async () => {
    const folder = join(tempFolder(), 'log')
    await (await openEmbedded(folder)).close()
    const [segment] = filesOf(folder)
    const files = [
      { file: join(folder, 'groups.sqlite'), version: 2 },
      { file: segment ?? '', version: 2 },
    ]
    for (const { file, version } of files) {
      setVersion(file, version + 1)
      expect(await codeOf(openEmbedded(folder))).toBe('data_newer')
      setVersion(file, version)
    }
    await openEmbedded(folder)
  })

  it('writes on in a file of the version before, which that version refuses from then on', async () => {
    const folder = join(tempFolder(), 'log')
    const before = await openEmbedded(folder)
    await before.append(RAW, [record('demo/first', 'one')])
    await before.close()
    const [segment = ''] = filesOf(folder)
    setVersion(segment, 1)
    const log = await openEmbedded(folder)
    await log.append(RAW, [record('demo/first', 'two')])
    expect(textsOf(await readAll(log, 0))).toEqual(['one', 'two'])
    await log.close()
    expect(versionOf(segment)).toBe(2)
  })

  it('refuses a folder that cannot be made', async () => {
    const file = join(tempFolder(), 'file')
    writeFileSync(file, '')
    expect(await codeOf(openEmbedded(join(file, 'log')))).toBe('data_unwritable')
  })

  it('refuses a folder that cannot be written', async () => {
    if (getuid?.() === 0) {
      // No mode holds root back, but nobody makes files here.
      expect(await codeOf(openEmbedded('/sys/kernel'))).toBe('data_unwritable')
      return
    }
    const folder = join(tempFolder(), 'log')
    mkdirSync(folder)
    chmodSync(folder, 0o555)
    expect(await codeOf(openEmbedded(folder))).toBe('data_unwritable')
    chmodSync(folder, 0o755)
  })

  it('refuses a file that is no database', async () => {
    const folder = join(tempFolder(), 'log')
    await (await openEmbedded(folder)).close()
    writeFileSync(join(folder, 'groups.sqlite'), 'not a database, but long enough to look like one'.repeat(100))
    expect(await codeOf(openEmbedded(folder))).toBe('log_corrupt')
    await expect(openEmbedded(folder)).rejects.toThrow('groups.sqlite')
  })

  it('refuses an offset that nobody committed, and names the file', async () => {
    const folder = join(tempFolder(), 'log')
    const first = await openEmbedded(folder)
    await first.append(RAW, [record('acme/a', '1'), record('acme/a', '2')])
    await (await startConsumer(first)).close()
    await first.close()
    const file = join(folder, 'groups.sqlite')
    const database = new DatabaseSync(file)
    expect(database.prepare('UPDATE committed SET offset = offset + 1').run().changes).toBe(1)
    database.close()
    expect(await codeOf(openEmbedded(folder))).toBe('log_corrupt')
    await expect(openEmbedded(folder)).rejects.toThrow(`${file} is damaged: the offset of group`)
  })

  it('gives a folder of the version before checksums of offsets', async () => {
    const folder = join(tempFolder(), 'log')
    const first = await openEmbedded(folder)
    await (await startConsumer(first)).close()
    await first.close()
    const file = join(folder, 'groups.sqlite')
    const database = new DatabaseSync(file)
    const old = 'ALTER TABLE settings DROP COLUMN crc; ALTER TABLE committed DROP COLUMN crc; PRAGMA user_version = 1'
    database.exec(old)
    database.close()
    await (await openEmbedded(folder)).close()
    expect(versionOf(file)).toBe(2)
    await openEmbedded(folder)
  })

  it('makes a half-made newest file again', async () => {
    const folder = join(tempFolder(), 'log')
    const first = await openEmbedded(folder)
    await first.append(RAW, [record('acme/a', '1')])
    await first.close()
    writeFileSync(join(folder, 'telemetry.raw-0000000002.sqlite'), '')
    const log = await openEmbedded(folder)
    await log.append(RAW, [record('acme/a', '2')])
    expect(textsOf(await readAll(log, 0))).toEqual(['1', '2'])
  })
})

describe('a consumer group', () => {
  it('has one consumer at a time, because there is one process', async () => {
    const log = await openEmbedded(join(tempFolder(), 'log'))
    const first = await startConsumer(log)
    expect(await codeOf(startConsumer(log))).toBe('already_exists')
    await first.close()
    await startConsumer(log)
  })

  it('cannot commit what is not in the log', async () => {
    const log = await openEmbedded(join(tempFolder(), 'log'))
    const consumer = await startConsumer(log)
    expect(await codeOf(consumer.commit([{ partition: 0, offset: 1 }]))).toBe('internal')
    expect(await codeOf(consumer.commit([{ partition: 1, offset: 0 }]))).toBe('internal')
  })
})

describe('the thread ends by itself', () => {
  it('rejects all that is pending, tells consumers and readers, and closes cleanly', async () => {
    const started = Promise.withResolvers<Worker>()
    process.once('worker', started.resolve)
    const folder = join(tempFolder(), 'log')
    const log = await openEmbedded(folder)
    const thread = await started.promise
    const lost = Promise.withResolvers<SluiceError>()
    const consumer = await log.consume({
      topic: RAW,
      group: 'worker',
      maxRecords: 10,
      onError: lost.resolve,
      onBatch: async () => {},
    })
    const following = codeOf(readAll(log, 0, { follow: true }))
    await log.append(RAW, [record('acme/a', 'stored')])
    // Posted, and never answered: the thread is told to end before it can look at them.
    const ended = thread.terminate()
    const pending = [
      codeOf(log.append(RAW, [record('acme/a', 'pending')])),
      codeOf(log.append('telemetry.dead-letter', [record('acme/a', 'pending')])),
      codeOf(log.lag(RAW, 'worker')),
      codeOf(consumer.commit([{ partition: 0, offset: 1 }])),
    ]
    await ended
    expect(await Promise.all(pending)).toEqual(pending.map(() => 'log_unavailable'))
    expect((await lost.promise).code).toBe('log_unavailable')
    expect(await following).toBe('log_unavailable')
    expect(await codeOf(log.append(RAW, [record('acme/a', 'later')]))).toBe('log_unavailable')
    await consumer.close()
    await log.close()
    const again = await openEmbedded(folder)
    expect(textsOf(await readAll(again, 0))[0]).toBe('stored')
  })
})
