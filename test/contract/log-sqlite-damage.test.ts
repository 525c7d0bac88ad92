import { cpSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createMetrics } from '../../shared/process/metrics.ts'
import { tempFolder } from '../helpers.ts'
import { lasting } from '../long.ts'
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
  it('takes at most what lies behind the first damaged byte, and the log goes on', async () => {
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
          // Appends are whole, and in order; those on both sides of a damaged one are there.
          expect(kept.length % 2).toBe(0)
          const numbers = kept.map((text) => Number(text.split('.')[0]))
          const lost = upTo(60).filter((i) => !numbers.includes(i))
          expect(numbers).toEqual(upTo(60).flatMap((i) => (lost.includes(i) ? [] : [i, i])))
          const isHole = how === 'flip' && lost.length === 1
          if (!isHole) expect(lost).toEqual(upTo(60).slice(60 - lost.length))
          const end = lost[0] === 60 - lost.length ? 2 * lost[0] : 120
          expect(await opened.append(RAW, [record('acme/a', 'next')])).toEqual(new Map([[0, end]]))
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
    expect(gaps).toMatchObject([{ reason: 'damage', partition: 0, from: 0, lost: 8, next: 8 }])
  })
})

describe('damaged rows', () => {
  it('are kept aside, told and counted as a gap; what lies around them is read', async () => {
    const folder = join(tempFolder(), 'log')
    const first = await openEmbedded(folder)
    for (const i of upTo(10)) {
      await first.append(RAW, [record('acme/a', `value-${i}-`, 100 * i), record('acme/a', 'second', 100 * i + 1)])
    }
    await first.close()
    const [file = ''] = filesOf(folder)
    damage(file, 'flip', readFileSync(file).indexOf('value-6-'))

    const metrics = createMetrics({ defaults: false })
    const log = await openEmbedded(folder, { metrics })
    expect(textsOf(await readAll(log, 0, { from: { offset: 13 } }))).toHaveLength(6)
    const gaps: unknown[] = []
    const consumer = await startConsumer(log, { onGap: (gap) => gaps.push(gap) })
    await consumer.until(18)
    const times = { beforeMs: 501, behindMs: 700 }
    expect(gaps).toMatchObject([{ reason: 'damage', partition: 0, from: 12, lost: 2, next: 14, ...times }])
    expect(await metrics.metrics()).toContain('sluice_log_damaged_total{topic="telemetry.raw"} 1')
    expect(readFileSync(join(folder, 'telemetry.raw-0-12.damaged'), 'latin1')).toContain('second')
  })
})

/** One kind of damage to one file of a log. */
const damages = fc.record({
  how: fc.constantFrom('cut' as const, 'flip' as const, 'flip' as const, 'empty' as const, 'remove' as const),
  file: fc.nat(),
  at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  bit: fc.nat(7),
})

describe('damage to any file of a topic', () => {
  it('is told, keeps what can be read, and counts the rest as a gap', { timeout: 600_000 }, async () => {
    const folder = join(tempFolder(), 'log')
    const options = { retention: { bytes: LEAST_BOUND } }
    const log = await openEmbedded(folder, options)
    await (await startConsumer(log)).close()
    const records = 130
    for (const i of upTo(records)) {
      await log.append(RAW, [record('acme/a', `${i}.`.padEnd(i % 3 === 0 ? 60_000 : 500, '.'), 1_700_000_000_000 + i)])
    }
    const whole = join(tempFolder(), 'whole')
    cpSync(folder, whole, { recursive: true })
    await log.close()
    const names = readdirSync(whole).filter((name) => name.startsWith('telemetry.raw-'))
    expect(names.length).toBeGreaterThan(3)

    await fc.assert(
      fc.asyncProperty(damages, async ({ how, file, at, bit }) => {
        const copy = join(tempFolder(), 'log')
        cpSync(whole, copy, { recursive: true })
        const path = join(copy, names[file % names.length] ?? '')
        const bytes = readFileSync(path)
        if (how === 'flip')
          bytes[Math.floor(at * bytes.length)] = (bytes[Math.floor(at * bytes.length)] ?? 0) ^ (1 << bit)
        if (how === 'remove') rmSync(path)
        else writeFileSync(path, how === 'cut' ? bytes.subarray(0, at * bytes.length) : how === 'flip' ? bytes : '')

        const metrics = createMetrics({ defaults: false })
        const opened = await openEmbedded(copy, { ...options, metrics })
        const gaps: { from: number; lost: number }[] = []
        const [bounds] = await opened.offsets(RAW)
        const consumer = await startConsumer(opened, { onGap: (gap) => gaps.push(gap) })
        const appended = await opened.append(RAW, [record('acme/a', 'new', 1_800_000_000_000)])
        const isThere = () => textsOf(consumer.batches).includes('new')
        await expect.poll(isThere).toBe(true)
        const texts = textsOf(consumer.batches).map((text) => text.split('.')[0])
        const lost = gaps.reduce((sum, gap) => sum + gap.lost, 0)
        const known = await metrics.metrics()
        await opened.close()

        const isTold = /sluice_log_damaged_total\{topic="telemetry.raw"\} [1-9]/.test(known)
        const offset = appended.get(0) ?? -1
        const old = texts.slice(0, -1).map(Number)
        expect(old).toEqual([...new Set(old)].sort((a, b) => a - b))
        expect(
          consumer.batches.every(({ firstOffset, records: [one] }) => offset === firstOffset || one !== undefined),
        ).toBe(true)
        expect(old.length + lost).toBe(offset)
        expect(bounds?.end).toBe(offset)
        // A cut of the newest WAL at its tail looks like what a power cut leaves, and a lost file like retention.
        const isNewest = path.endsWith('-wal') && how !== 'flip'
        if (old.length < records && !isNewest && how !== 'remove') expect(isTold).toBe(true)
        if (how === 'flip') expect(old.length).toBeGreaterThanOrEqual(records - 2)
      }),
      { numRuns: lasting({ gate: 12, long: 1000 }), interruptAfterTimeLimit: lasting({ gate: 60_000, long: 550_000 }) },
    )
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
    expect(gaps).toMatchObject([{ reason: 'damage', partition: 0, from: 0, lost: start, next: start }])
    expect(consumer.batches[0]?.firstOffset).toBe(start)
    expect(textsOf(consumer.batches)[0]?.split('.')[0]).toBe(`${start}`)
    expect((await readAll(log, 0))[0]?.firstOffset).toBe(start)
  })
})
