import { describe, expect, it, onTestFinished } from 'vitest'
import { SluiceError } from '../../shared/errors.ts'
import { MAX_NOTE, type Position } from '../../shared/log/port.ts'
import {
  codeOf,
  keyIn,
  type MakeLogHarness,
  openLog,
  PARTITIONS,
  RAW,
  readAll,
  record,
  startConsumer,
  textsOf,
} from './log-harness.ts'

/** What an adapter of the log promises to consumer groups. */
export function describeConsume(name: string, make: MakeLogHarness): void {
  describe(`${name}: consumer groups`, () => {
    it('begins a new group at the first record, and goes on with what is appended later', async () => {
      const log = await openLog(await make())
      const keys = Array.from({ length: PARTITIONS }, (_, partition) => keyIn(log, partition))
      await log.append(
        RAW,
        keys.map((key) => record(key, `early ${key}`)),
      )
      const consumer = await startConsumer(log)
      await consumer.until(PARTITIONS)
      await log.append(
        RAW,
        keys.map((key) => record(key, `late ${key}`)),
      )
      await consumer.until(2 * PARTITIONS)
      expect(textsOf(consumer.batches).sort()).toEqual(keys.flatMap((key) => [`early ${key}`, `late ${key}`]).sort())
    })

    it('hands out a partition one batch at a time, in order, and partitions beside each other', async () => {
      const log = await openLog(await make())
      const keys = [keyIn(log, 0), keyIn(log, 1)]
      for (let i = 0; i < 6; i++)
        await log.append(
          RAW,
          keys.map((key) => record(key, String(i))),
        )
      const held = Promise.withResolvers<void>()
      const otherDone = Promise.withResolvers<void>()
      const seen: string[][] = [[], []]
      const active = [0, 0]
      const consumer = await startConsumer(log, {
        maxRecords: 2,
        async onBatch({ partition, records }) {
          expect(records.length).toBeLessThanOrEqual(2)
          active[partition] = (active[partition] ?? 0) + 1
          expect(active[partition]).toBe(1)
          if (partition === 0) await held.promise
          else await Promise.resolve()
          seen[partition]?.push(...records.map(({ value }) => Buffer.from(value).toString()))
          active[partition] = (active[partition] ?? 0) - 1
          if (seen[partition]?.length === 6) (partition === 1 ? otherDone : allDone).resolve()
        },
      })
      const allDone = Promise.withResolvers<void>()
      await otherDone.promise
      expect(seen).toEqual([[], ['0', '1', '2', '3', '4', '5']])
      held.resolve()
      await allDone.promise
      expect(seen[0]).toEqual(['0', '1', '2', '3', '4', '5'])
      await consumer.close()
    })

    it('reads on behind the committed offset after opening again, and never moves it back', async () => {
      const harness = await make()
      const first = await harness.open()
      const key = keyIn(first, 0)
      await first.append(
        RAW,
        Array.from({ length: 10 }, (_, i) => record(key, String(i))),
      )
      const before = await startConsumer(first)
      await before.until(10)
      await before.commit([{ partition: 0, offset: 6 }])
      await before.commit([{ partition: 0, offset: 4 }])
      expect((await first.lag(RAW, 'worker'))[0]).toMatchObject({ committed: 6, end: 10, records: 4 })
      await before.close()
      await first.close()
      const log = await openLog(harness)
      expect((await log.lag(RAW, 'worker'))[0]).toMatchObject({ committed: 6, end: 10, records: 4 })
      const after = await startConsumer(log)
      await after.until(4)
      expect(textsOf(after.batches)).toEqual(['6', '7', '8', '9'])
      expect(after.batches[0]?.firstOffset).toBe(6)
    })

    it('keeps a note with a position, and gives it back with the assignment', async () => {
      const harness = await make()
      const log = await openLog(harness)
      const note = 'n'.repeat(MAX_NOTE)
      await log.append(
        RAW,
        Array.from({ length: 10 }, (_, i) => record(keyIn(log, 0), String(i))),
      )
      const noteAfter = async (positions: readonly Position[]) => {
        const notes = new Map<number, string | undefined>()
        const consumer = await startConsumer(log, { onAssigned: (to) => notes.set(to.partition, to.note) })
        // Assigned: the first batch comes behind it.
        await consumer.until(1)
        for (const position of positions) await consumer.commit([position])
        await consumer.close()
        return notes
      }
      const first = await noteAfter([
        { partition: 0, offset: 5, note },
        { partition: 0, offset: 4, note: 'late' },
      ])
      expect(first.get(0)).toBeUndefined()
      const second = await noteAfter([{ partition: 0, offset: 6, note: 'b' }])
      expect(second.get(0)).toBe(note)
      expect((await noteAfter([])).get(0)).toBe('b')
      expect((await noteAfter([{ partition: 0, offset: 7 }])).get(0)).toBe('b')
      expect((await noteAfter([])).get(0)).toBeUndefined()
    })

    it('keeps groups apart, also those whose names differ by little', async () => {
      const log = await openLog(await make())
      const key = keyIn(log, 0)
      await log.append(
        RAW,
        Array.from({ length: 5 }, (_, i) => record(key, String(i))),
      )
      const names = ['worker', 'Worker', 'wörker', 'worker2']
      for (const [index, group] of names.entries()) {
        const consumer = await startConsumer(log, { group })
        await consumer.until(5)
        await consumer.commit([{ partition: 0, offset: index }])
        await consumer.close()
      }
      const committed = await Promise.all(names.map(async (group) => (await log.lag(RAW, group))[0]?.committed))
      expect(committed).toEqual([0, 1, 2, 3])
    })

    it('tells the lag in records and in seconds since the oldest uncommitted one was received', async () => {
      const log = await openLog(await make())
      const key = keyIn(log, 1)
      const now = Date.now()
      await log.append(RAW, [record(key, '0', now - 50_000), record(key, '1', now - 20_000), record(key, '2', now)])
      const consumer = await startConsumer(log)
      await consumer.until(3)
      const lag = async (): Promise<{ records: number; seconds: number }> => {
        const found = (await log.lag(RAW, 'worker'))[1]
        if (found === undefined) throw new Error('no partition 1')
        return found
      }
      expect((await lag()).records).toBe(3)
      expect((await lag()).seconds).toBeGreaterThanOrEqual(50)
      await consumer.commit([{ partition: 1, offset: 1 }])
      expect((await lag()).records).toBe(2)
      expect((await lag()).seconds).toBeGreaterThanOrEqual(20)
      expect((await lag()).seconds).toBeLessThan(50)
      await consumer.commit([{ partition: 1, offset: 3 }])
      expect(await lag()).toMatchObject({ records: 0, seconds: 0 })
      expect((await log.lag(RAW, 'worker'))[0]).toMatchObject({ committed: 0, end: 0, records: 0, seconds: 0 })
    })

    it('close aborts the batch in progress, waits for it, and revokes; what was not committed comes again', async () => {
      const log = await openLog(await make())
      const key = keyIn(log, 0)
      await log.append(RAW, [record(key, '0')])
      const begun = Promise.withResolvers<void>()
      const events: string[] = []
      const consumer = await startConsumer(log, {
        onRevoked: (partition) => events.push(`revoked ${partition}`),
        async onBatch(_, signal) {
          begun.resolve()
          await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
          events.push('aborted')
          await new Promise((resolve) => setImmediate(resolve))
          events.push('done')
        },
      })
      await begun.promise
      await Promise.all([consumer.close(), consumer.close()])
      expect(events.slice(0, 2)).not.toContain('done')
      expect(events.indexOf('revoked 0')).toBeGreaterThan(events.indexOf('done'))
      expect(events.filter((event) => event.startsWith('revoked'))).toHaveLength(PARTITIONS)
      expect(await codeOf(consumer.commit([{ partition: 0, offset: 1 }]))).toBe('closed')
      const next = await startConsumer(log)
      await next.until(1)
      expect(textsOf(next.batches)).toEqual(['0'])
    })

    it('closing the log closes its consumers and waits for their handlers', async () => {
      const harness = await make()
      const log = await harness.open()
      await log.append(RAW, [record(keyIn(log, 0), '0')])
      const begun = Promise.withResolvers<void>()
      let isDone = false
      await log.consume({
        topic: RAW,
        group: 'worker',
        maxRecords: 10,
        onError: (error) => begun.reject(error),
        async onBatch(_, signal) {
          begun.resolve()
          await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
          await new Promise((resolve) => setImmediate(resolve))
          isDone = true
        },
      })
      await begun.promise
      await log.close()
      expect(isDone).toBe(true)
    })

    it('ends with onError when a handler fails, and gives the batch to the next consumer', async () => {
      const log = await openLog(await make())
      await log.append(RAW, [record(keyIn(log, 0), '0')])
      const failed = Promise.withResolvers<SluiceError>()
      const consumer = await log.consume({
        topic: RAW,
        group: 'worker',
        maxRecords: 10,
        onError: failed.resolve,
        onBatch: () => Promise.reject(new SluiceError('store_unavailable', 'the store is down')),
      })
      onTestFinished(() => consumer.close())
      expect((await failed.promise).code).toBe('store_unavailable')
      await consumer.close()
      const next = await startConsumer(log)
      await next.until(1)
      expect(textsOf(next.batches)).toEqual(['0'])
    })

    it('lets a reader without a group see what groups have committed', async () => {
      const log = await openLog(await make())
      const key = keyIn(log, 0)
      await log.append(RAW, [record(key, '0'), record(key, '1')])
      const consumer = await startConsumer(log)
      await consumer.until(2)
      await consumer.commit([{ partition: 0, offset: 2 }])
      expect(textsOf(await readAll(log, 0))).toEqual(['0', '1'])
    })
  })
}
