import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { tempFolder } from '../../helpers.ts'
import { allPages } from '../../contract/points-harness.ts'
import { openEmbedded } from '../../contract/points-sqlite-harness.ts'
import { startPoints } from './start-points.ts'

const SLOTS = 40
const SLOT_MS = 100_000
const POINTS = 60

/** Writes over the same slots again and again, kills the process in the middle; returns the last acked write by slot. */
async function runUntilKilled(
  folder: string,
  first: number,
  acks: number,
  variant?: 'early',
): Promise<Map<number, number>> {
  const child = startPoints(folder, { sealAfterPoints: 1000, ...(variant === undefined ? {} : { variant }) })
  await child.next(/^ready$/)
  for (let n = first; n < first + acks + 100; n++) child.send(`write ${n} ${POINTS}`)
  for (let i = 0; i < acks; i++) await child.next(/^written/)
  await child.kill()
  const written = child.lines.filter((line) => line.startsWith('written')).map((line) => Number(line.split(' ')[1]))
  return new Map(written.map((n) => [n % SLOTS, n]))
}

/** Points that are missing or older than acknowledged, or that no write ever made. */
async function wrongPoints(folder: string, acked: ReadonlyMap<number, number>): Promise<number> {
  const { store } = await openEmbedded(folder)
  const query = { tenant: 'acme', device: 'pump-1', stream: 'telemetry', limit: 10_000 }
  const found = new Map(
    (await allPages(store, query)).map(([field, { ms }, value]) => [`${field}${ms}`, Number(value)]),
  )
  await store.close()
  let wrong = 0
  for (const [slot, n] of acked) {
    for (const field of ['a', 'b', 'c']) {
      for (let i = 0; i < POINTS; i++) {
        const value = found.get(`${field}${slot * SLOT_MS + i}`) ?? -1
        if (value < n || value % SLOTS !== slot) wrong++
      }
    }
  }
  return wrong
}

describe('kill -9 in the middle of writing and sealing', () => {
  it('loses nothing that was written, and no later value to an earlier one', async () => {
    const folder = join(tempFolder(), 'points')
    const acked = new Map<number, number>()
    for (let round = 0; round < 6; round++) {
      for (const [slot, n] of await runUntilKilled(folder, round * 1000, 20 + round * 37)) acked.set(slot, n)
      expect(await wrongPoints(folder, acked)).toBe(0)
    }
  })

  it('sees a store that says so too early', async () => {
    let wrong = 0
    // Lost only when the kill comes in between: bounded attempts.
    for (let round = 0; round < 10 && wrong === 0; round++) {
      const folder = join(tempFolder(), 'points')
      wrong = await wrongPoints(folder, await runUntilKilled(folder, 0, 300, 'early'))
    }
    expect(wrong).toBeGreaterThan(0)
  })
})

describe('two processes on one folder', () => {
  it('the second fails at once; a killed one leaves no lock', async () => {
    const folder = join(tempFolder(), 'points')
    const first = startPoints(folder)
    await first.next(/^ready$/)
    expect(await startPoints(folder).next(/./)).toBe('failed open data_locked')
    first.send('write 1 1')
    expect(await first.next(/./)).toBe('written 1')
    await first.kill()
    expect(await startPoints(folder).next(/./)).toBe('ready')
  })
})
