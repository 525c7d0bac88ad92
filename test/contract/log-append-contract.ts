import { describe, expect, it } from 'vitest'
import type { Assignment } from '../../shared/log/port.ts'
import type { LogRecord } from '../../shared/telemetry.ts'
import {
  codeOf,
  keyIn,
  type MakeLogHarness,
  openLog,
  PARTITIONS,
  RAW,
  readAll,
  record,
  SIMILAR_KEYS,
  startConsumer,
  textsOf,
} from './log-harness.ts'

/** What an adapter of the log promises about appending and reading. */
export function describeAppendAndRead(name: string, make: MakeLogHarness): void {
  describe(`${name}: append and read`, () => {
    it('gives back every record as it was, in order', async () => {
      const log = await openLog(await make())
      const key = keyIn(log, 1)
      const records: LogRecord[] = [
        { key, value: Buffer.from('{"a":1}'), ms: 1_700_000_000_000, ns: 999_999, headers: undefined },
        { key, value: new Uint8Array(0), ms: 0, ns: 0, headers: { topic: 't/acme/device/telemetry/fast' } },
        { key, value: Uint8Array.from({ length: 256 }, (_, i) => i), ms: 9_223_372_036_854, ns: 1, headers: undefined },
        {
          key,
          value: Buffer.alloc(300_000, 7),
          ms: 5,
          ns: 5,
          headers: { 'Ünï ': '', __proto__x: '\u{1f600}', '': 'a\nb' },
        },
      ]
      await log.append(RAW, records)
      const found = (await readAll(log, 1)).flatMap((batch) => [...batch.records])
      expect(found.map(({ value, ...rest }) => ({ ...rest, value: Buffer.from(value).toString('hex') }))).toEqual(
        records.map(({ value, ...rest }) => ({ ...rest, value: Buffer.from(value).toString('hex') })),
      )
    })

    it('tells which log its offsets are of, the same one after opening again, to readers and to groups', async () => {
      const harness = await make()
      const first = await harness.open()
      const key = keyIn(first, 1)
      await first.append(RAW, [record(key, '1')])
      const [before] = await readAll(first, 1)
      await first.close()
      const log = await openLog(harness)
      const assigned: Assignment[] = []
      const consumer = await startConsumer(log, { onAssigned: (one) => void (assigned[one.partition] = one) })
      await consumer.until(1)
      const [after] = await readAll(log, 1)
      expect(before?.log).toMatch(/^[\w-]{22}$/)
      expect(after?.log).toBe(before?.log)
      expect(consumer.batches.map((batch) => batch.log)).toEqual([before?.log])
      expect(assigned[1]).toEqual({ partition: 1, log: before?.log, end: 1, isNew: true })
    })

    it('answers the first offset of each partition, and offsets run without holes', async () => {
      const log = await openLog(await make())
      const [a, b] = [keyIn(log, 0), keyIn(log, 2)]
      expect(await log.append(RAW, [record(a, '1'), record(b, '2'), record(a, '3')])).toEqual(
        new Map([
          [0, 0],
          [2, 0],
        ]),
      )
      expect(await log.append(RAW, [record(a, '4')])).toEqual(new Map([[0, 2]]))
      expect(await log.append(RAW, [])).toEqual(new Map())
      expect((await log.offsets(RAW)).map(({ start, end }) => [start, end])).toEqual([
        [0, 3],
        [0, 0],
        [0, 1],
      ])
      expect(textsOf(await readAll(log, 0))).toEqual(['1', '3', '4'])
    })

    it('puts a key into the partition that partitionOf names, also after opening again', async () => {
      const harness = await make()
      const first = await harness.open()
      const expected = SIMILAR_KEYS.map((key) => first.partitionOf(key))
      await first.append(
        RAW,
        SIMILAR_KEYS.map((key) => record(key, key)),
      )
      await first.close()
      const log = await openLog(harness)
      expect(SIMILAR_KEYS.map((key) => log.partitionOf(key))).toEqual(expected)
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const keys = (await readAll(log, partition)).flatMap(({ records }) => records.map(({ key }) => key))
        expect(keys).toEqual(SIMILAR_KEYS.filter((_, i) => expected[i] === partition))
      }
    })

    it('takes a dead letter of the largest record, with 64 KiB of its own', async () => {
      const log = await openLog(await make())
      const topic = 'telemetry.dead-letter'
      const large = { ...record('acme/a', 'x'.repeat(64 * 1024)), headers: { faults: 'f'.repeat(64 * 1024 - 100) } }
      await log.append(topic, [large])
      const found = await readAll(log, log.partitionOf('acme/a'), { topic })
      expect(found.flatMap(({ records }) => records.map(({ headers }) => headers))).toEqual([large.headers])
    })

    it('keeps the order of concurrent appends and makes each of them whole', async () => {
      const log = await openLog(await make())
      const key = keyIn(log, 0)
      const offsets = await Promise.all(
        Array.from({ length: 200 }, (_, i) => log.append(RAW, [record(key, `${i}a`), record(key, `${i}b`)])),
      )
      expect(offsets.map((map) => map.get(0))).toEqual(Array.from({ length: 200 }, (_, i) => 2 * i))
      expect(textsOf(await readAll(log, 0))).toEqual(Array.from({ length: 200 }, (_, i) => [`${i}a`, `${i}b`]).flat())
    })

    it('keeps topics apart', async () => {
      const log = await openLog(await make())
      const key = keyIn(log, 0)
      await log.append(RAW, [record(key, 'raw')])
      await log.append('telemetry.dead-letter', [record(key, 'dead')])
      expect(textsOf(await readAll(log, 0))).toEqual(['raw'])
      expect(textsOf(await readAll(log, 0, { topic: 'telemetry.dead-letter' }))).toEqual(['dead'])
    })

    it('knows the newest receive time, also of an older clock and after opening again', async () => {
      const harness = await make()
      const first = await harness.open()
      const key = keyIn(first, 1)
      await first.append(RAW, [record(key, '1', 2000, 7), record(key, '2', 2000, 9), record(key, '3', 1000, 0)])
      await first.append(RAW, [record(key, '4', 1500, 0)])
      expect((await first.offsets(RAW)).map(({ newest }) => newest)).toEqual([
        undefined,
        { ms: 2000, ns: 9 },
        undefined,
      ])
      await first.close()
      const log = await openLog(harness)
      expect((await log.offsets(RAW)).map(({ newest }) => newest)).toEqual([undefined, { ms: 2000, ns: 9 }, undefined])
    })

    it('reads from an offset, clamped to what is kept, in batches of at most maxRecords', async () => {
      const log = await openLog(await make())
      const key = keyIn(log, 0)
      for (let i = 0; i < 5; i++)
        await log.append(RAW, [record(key, `${i}a`), record(key, `${i}b`), record(key, `${i}c`)])
      const batches = await readAll(log, 0, { from: { offset: 7 }, maxRecords: 4 })
      expect(textsOf(batches)).toEqual(['2b', '2c', '3a', '3b', '3c', '4a', '4b', '4c'])
      expect(batches.every(({ records }) => records.length <= 4)).toBe(true)
      let next = 7
      for (const { firstOffset, records } of batches) {
        expect(firstOffset).toBe(next)
        next += records.length
      }
      expect(textsOf(await readAll(log, 0, { from: { offset: -5 }, maxRecords: 1 }))).toHaveLength(15)
      expect(await readAll(log, 0, { from: { offset: 99 } })).toEqual([])
    })

    it('reads from the first record at or after a time', async () => {
      const harness = await make()
      const first = await harness.open()
      const key = keyIn(first, 0)
      for (let i = 0; i < 20; i++) {
        await first.append(RAW, [record(key, `${i}`, 1000 + i * 10, 5), record(key, `${i}'`, 1000 + i * 10, 6)])
      }
      await first.close()
      const log = await openLog(harness)
      const from = async (ms: number, ns: number): Promise<string | undefined> =>
        textsOf(await readAll(log, 0, { from: { time: { ms, ns } } }))[0]
      expect(await from(0, 0)).toBe('0')
      expect(await from(1000, 6)).toBe("0'")
      expect(await from(1070, 5)).toBe('7')
      expect(await from(1070, 7)).toBe('8')
      expect(await from(1071, 0)).toBe('8')
      expect(await from(1190, 6)).toBe("19'")
      expect(await from(1190, 7)).toBeUndefined()
      expect(await readAll(log, 1, { from: { time: { ms: 0, ns: 0 } } })).toEqual([])
    })

    it('follows from the end of the moment of the call until it is told to stop', async () => {
      const log = await openLog(await make())
      const key = keyIn(log, 2)
      await log.append(RAW, [record(key, 'before')])
      const abort = new AbortController()
      const batches = log.read({
        topic: RAW,
        partition: 2,
        from: 'end',
        maxRecords: 10,
        follow: true,
        signal: abort.signal,
      })
      await log.append(RAW, [record(key, 'first')])
      const seen: string[] = []
      for await (const batch of batches) {
        seen.push(...textsOf([batch]))
        if (seen.length === 1) void log.append(RAW, [record(key, 'second')])
        else abort.abort()
      }
      expect(seen).toEqual(['first', 'second'])
    })

    it('ends a read that does not follow at the end as it was', async () => {
      const log = await openLog(await make())
      const key = keyIn(log, 0)
      await log.append(RAW, [record(key, '1'), record(key, '2')])
      const seen: string[] = []
      const options = { topic: RAW, partition: 0, maxRecords: 1, follow: false, signal: new AbortController().signal }
      for await (const batch of log.read({ ...options, from: { offset: 0 } })) {
        seen.push(...textsOf([batch]))
        await log.append(RAW, [record(key, 'later')])
      }
      expect(seen).toEqual(['1', '2'])
    })

    it('keeps everything that was acknowledged over closing and opening', async () => {
      const harness = await make()
      const expected: string[] = []
      for (let round = 0; round < 3; round++) {
        const log = await harness.open()
        const key = keyIn(log, 0)
        for (let i = 0; i < 4; i++) {
          await log.append(RAW, [record(key, `${round}/${i}`)])
          expected.push(`${round}/${i}`)
        }
        await log.close()
      }
      const log = await openLog(harness)
      expect(textsOf(await readAll(log, 0))).toEqual(expected)
    })

    it('finishes what was appended before close, refuses what comes after, and ends readers', async () => {
      const harness = await make()
      const log = await harness.open()
      const key = keyIn(log, 0)
      const follow = codeOf(readAll(log, 0, { follow: true }))
      const appends = Array.from({ length: 20 }, (_, i) => log.append(RAW, [record(key, `${i}`)]))
      const closing = [log.close(), log.close()]
      await Promise.all(appends)
      await Promise.all(closing)
      expect(await codeOf(log.append(RAW, [record(key, 'late')]))).toBe('closed')
      expect(await codeOf(log.offsets(RAW))).toBe('closed')
      expect(await codeOf(log.lag(RAW, 'worker'))).toBe('closed')
      expect(await codeOf(readAll(log, 0))).toBe('closed')
      expect(await follow).toBe('closed')
      const again = await openLog(harness)
      expect(textsOf(await readAll(again, 0))).toHaveLength(20)
    })
  })
}
