import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { toSluiceError } from '../../../shared/errors.ts'
import { allPages } from '../../contract/points-harness.ts'
import { openEmbedded } from '../../contract/points-sqlite-harness.ts'
import { tempFolder } from '../../helpers.ts'
import type { LineProcess } from '../../line-process.ts'
import { lasting } from '../../long.ts'
import { CUTS, cutPower, recorded } from '../../power-cut.ts'
import { startPoints } from './start-points.ts'

const canTrace = spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0
const ROUNDS = 10
const TEXTS = 5
/** In a long run the WAL is moved into the database a few times. */
const TEXT_BYTES = lasting({ gate: 10_000, long: 400_000 })
/** A new folder is open after this many syncs. */
const FIRST_SYNC = 12

/** Writes until it is taken. */
async function write(child: LineProcess, n: number): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    child.send(`text ${n} ${TEXT_BYTES}`)
    if ((await child.next(/^(written|failed)/)).startsWith('written')) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** As the ingest worker does it: syncs until it is answered, and writes again what a failed sync took. */
async function syncAfter(child: LineProcess, written: readonly number[]): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    child.send('sync')
    const answer = await child.next(/^(synced|failed sync)/)
    if (answer === 'synced') return
    if (answer === 'failed sync store_rewound') for (const n of written) await write(child, n)
    else await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

function ifCorrupt(error: unknown): [] {
  if (toSluiceError(error).code === 'store_corrupt') return []
  throw error
}

/** Writes and syncs while these syncs fail, cuts the power, and returns which texts are gone that were synced. */
async function outcome(failing: string, preload: string[] = []): Promise<{ synced: number; lost: number[] }> {
  const folder = join(tempFolder(), 'points')
  const trace = join(tempFolder(), 'trace')
  const wrap = ([node = '', ...args]: string[]): string[] => recorded([node, ...preload, ...args], trace, failing)
  const child = startPoints(folder, { wrap })
  await child.next(/^ready$/)
  for (let round = 0; round < ROUNDS; round++) {
    const numbers = Array.from({ length: TEXTS }, (_, i) => round * TEXTS + i)
    for (const n of numbers) await write(child, n)
    await syncAfter(child, numbers)
  }
  child.send('close')
  await child.ended()
  const text = readFileSync(trace, 'latin1')
  const lost: number[] = []
  let synced = 0
  for (const at of CUTS) {
    const target = join(tempFolder(), 'cut')
    const said = cutPower({ trace: text, folder, target, at })
    synced = said.filter((line) => line === 'synced').length
    if (synced === 0) continue
    const { store } = await openEmbedded(target)
    const stream = { tenant: 'acme', device: 'pump-1', stream: 'texts' }
    // A page has so many bytes at most. What is refused is as good as lost.
    const answer = allPages(store, { ...stream, limit: 10_000 }).catch(ifCorrupt)
    const found = new Set((await answer).map(([, { ms }]) => ms))
    for (let n = 0; n < synced * TEXTS; n++) if (!found.has(n)) lost.push(n)
    await store.close()
  }
  return { synced, lost }
}

describe.skipIf(!canTrace)('a power cut after syncs that failed (needs apt-get install strace)', () => {
  const starts = Array.from({ length: lasting({ gate: 1, long: 30 }) }, (_, i) => FIRST_SYNC + 2 + i)
  const ranges = starts.flatMap((from) => [0, 1, 2].map((more) => `${from}..${from + more}`))

  it.for(ranges)('loses no point that was synced: syncs %s', async (failing) => {
    const { synced, lost } = await outcome(failing)
    expect(lost).toEqual([])
    expect(synced).toBe(ROUNDS)
  })

  it('sees a store that trusts the file again', async () => {
    const preload = join(import.meta.dirname, '../../variants/trusting-points.ts')
    let lost: number[] = []
    for (let at = FIRST_SYNC + 3; lost.length === 0 && at < FIRST_SYNC + 9; at++) {
      lost = (await outcome(`${at}`, ['--import', preload])).lost
    }
    expect(lost.length).toBeGreaterThan(0)
  })
})
