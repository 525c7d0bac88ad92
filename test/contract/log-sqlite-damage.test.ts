import { cpSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { SluiceError } from '../../shared/errors.ts'
import { tempFolder } from '../helpers.ts'
import { RAW, readAll, record, startConsumer, textsOf } from './log-harness.ts'
import { filesOf, LEAST_BOUND, openEmbedded } from './log-sqlite-harness.ts'

/** Numbers 0 to count - 1. */
function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i)
}

function damage(file: string, how: 'cut' | 'flip' | 'zero' | 'noise', at: number): void {
  if (how === 'cut') {
    truncateSync(file, at)
    return
  }
  const bytes = readFileSync(file)
  if (how === 'flip') bytes[at] = (bytes[at] ?? 0) ^ 0x10
  else for (let i = at; i < bytes.length; i++) bytes[i] = how === 'zero' ? 0 : (bytes[i] ?? 0) ^ (1 + (i % 255))
  writeFileSync(file, bytes)
}

describe('a torn tail', () => {
  it('takes at most what lies behind the first damaged byte, and the log goes on', { timeout: 120_000 }, async () => {
    const folder = join(tempFolder(), 'log')
    const log = await openEmbedded(folder)
    const [file = ''] = filesOf(folder)
    /** Length of the WAL when append i was acknowledged. */
    const durable: number[] = []
    for (let i = 0; i < 60; i++) {
      await log.append(RAW, [record('acme/a', `${i}`), record('acme/b', `${i}`.padEnd((i * 531) % 20_000, '.'))])
      durable.push(statSync(`${file}-wal`).size)
    }
    const crashed = join(tempFolder(), 'crashed')
    cpSync(folder, crashed, { recursive: true })
    const longest = durable.at(-1) ?? 0

    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('cut' as const, 'flip' as const, 'zero' as const, 'noise' as const),
        fc.nat(longest - 1),
        async (how, at) => {
          const copy = join(tempFolder(), 'log')
          cpSync(crashed, copy, { recursive: true })
          damage(`${filesOf(copy)[0]}-wal`, how, at)
          const opened = await openEmbedded(copy)
          const kept = textsOf(await readAll(opened, 0))
          const sure = durable.filter((length) => length <= at).length
          expect(kept.length).toBeGreaterThanOrEqual(2 * sure)
          // Appends are whole, in order, without holes.
          expect(kept.length % 2).toBe(0)
          expect(kept.map((text) => text.split('.')[0])).toEqual(upTo(kept.length / 2).flatMap((i) => [`${i}`, `${i}`]))
          expect(await opened.append(RAW, [record('acme/a', 'next')])).toEqual(new Map([[0, kept.length]]))
          await opened.close()
          const again = await openEmbedded(copy)
          expect(textsOf(await readAll(again, 0))).toEqual([...kept, 'next'])
          await again.close()
        },
      ),
      { numRuns: 25, interruptAfterTimeLimit: 60_000 },
    )
  })

  it('does not give the offsets out again that a group had read already', async () => {
    const folder = join(tempFolder(), 'log')
    const log = await openEmbedded(folder)
    const [file = ''] = filesOf(folder)
    for (const i of upTo(10)) await log.append(RAW, [record('acme/a', `${i}`)])
    const consumer = await startConsumer(log)
    await consumer.until(10)
    await consumer.commit([{ partition: 0, offset: 8 }])
    const slow = await startConsumer(log, { group: 'slow' })
    await slow.until(10)
    const copy = join(tempFolder(), 'log')
    cpSync(folder, copy, { recursive: true })
    damage(join(copy, `${file.slice(folder.length)}-wal`), 'cut', 0)

    const opened = await openEmbedded(copy)
    expect((await opened.offsets(RAW))[0]).toMatchObject({ start: 0, end: 8 })
    expect(await opened.append(RAW, [record('acme/a', 'new')])).toEqual(new Map([[0, 8]]))
    const after = await startConsumer(opened)
    await after.until(1)
    expect(textsOf(after.batches)).toEqual(['new'])
    const gaps: unknown[] = []
    const behind = await startConsumer(opened, { group: 'slow', onGap: (gap) => gaps.push(gap) })
    await behind.until(1)
    expect(textsOf(behind.batches)).toEqual(['new'])
    expect(gaps).toEqual([{ partition: 0, from: 0, lost: 8, next: 8 }])
  })
})

describe('damaged rows', () => {
  it('end a read and a consumer with log_corrupt, naming partition and offset; what lies before is read', async () => {
    const folder = join(tempFolder(), 'log')
    const first = await openEmbedded(folder)
    for (const i of upTo(10)) await first.append(RAW, [record('acme/a', `value-${i}-`), record('acme/a', 'second')])
    await first.close()
    const [file = ''] = filesOf(folder)
    damage(file, 'flip', readFileSync(file).indexOf('value-6-'))

    const log = await openEmbedded(folder)
    const failure: unknown = await readAll(log, 0, { from: { offset: 13 } }).catch((error: unknown) => error)
    expect(failure).toMatchObject({
      code: 'log_corrupt',
      message: expect.stringMatching(/partition 0 offset 12/) as string,
    })
    expect(textsOf(await readAll(log, 0, { from: { offset: 14 } }))).toHaveLength(6)
    const failed = Promise.withResolvers<SluiceError>()
    const consumer = await startConsumer(log, { onError: failed.resolve })
    expect(await failed.promise).toMatchObject({ code: 'log_corrupt' })
    expect(textsOf(consumer.batches)).toHaveLength(12)
  })
})

describe('a lost file', () => {
  it('is a gap that is told, with its size; reading goes on behind it', async () => {
    const folder = join(tempFolder(), 'log')
    const options = { retention: { bytes: LEAST_BOUND } }
    const first = await openEmbedded(folder, options)
    const idle = await startConsumer(first)
    for (let i = 0; filesOf(folder).length < 3; i++)
      await first.append(RAW, [record('acme/a', `${i}`.padEnd(50_000, '.'))])
    await idle.close()
    await first.close()
    rmSync(filesOf(folder)[0] ?? '')

    const log = await openEmbedded(folder, options)
    const [bounds] = await log.offsets(RAW)
    const start = bounds?.start ?? 0
    expect(start).toBeGreaterThan(0)
    const gaps: unknown[] = []
    const consumer = await startConsumer(log, { onGap: (gap) => gaps.push(gap) })
    await consumer.until((bounds?.end ?? 0) - start)
    expect(gaps).toEqual([{ partition: 0, from: 0, lost: start, next: start }])
    expect(consumer.batches[0]?.firstOffset).toBe(start)
    expect(textsOf(consumer.batches)[0]?.split('.')[0]).toBe(`${start}`)
    expect((await readAll(log, 0))[0]?.firstOffset).toBe(start)
  })
})
