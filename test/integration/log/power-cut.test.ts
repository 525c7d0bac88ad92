import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readAll, textsOf } from '../../contract/log-harness.ts'
import { openEmbedded } from '../../contract/log-sqlite-harness.ts'
import { tempFolder } from '../../helpers.ts'
import { lasting } from '../../long.ts'
import { CUTS, cutPower, recorded } from '../../power-cut.ts'
import { startLogProcess } from './log-process.ts'

const canTrace = spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0
const APPENDS = 30
/** A new folder is open, and its first append on the disk, after this many syncs. */
const FIRST_SYNC = 40

interface Outcome {
  /** At the end. */
  readonly acked: number
  readonly lost: string[]
  /** Files that had to be repaired at the start: what was acknowledged stood after a hole. */
  readonly damaged: string[]
}

/** Appends with these syncs failing, cuts the power at several moments, and looks the acknowledged appends up. */
async function outcome(failing: string, preload: string[] = []): Promise<Outcome> {
  const folder = join(tempFolder(), 'log')
  const trace = join(tempFolder(), 'trace')
  const wrap = ([node = '', ...args]: string[]): string[] => recorded([node, ...preload, ...args], trace, failing)
  const child = startLogProcess(folder, { wrap })
  await child.next(/^ready$/)
  for (let i = 0; i < APPENDS; i++) {
    child.send(`append ${i} 1 3000`)
    await child.next(/^(acked|failed)/)
  }
  child.send('close')
  await child.ended()
  const text = readFileSync(trace, 'latin1')
  const lost: string[] = []
  const damaged: string[] = []
  let acked = 0
  for (const at of CUTS) {
    const target = join(tempFolder(), 'cut')
    const names = cutPower({ trace: text, folder, target, at }).flatMap((line) => /^acked (.*)/.exec(line)?.[1] ?? [])
    acked = names.length
    if (acked === 0) continue
    const log = await openEmbedded(target)
    const kept = new Set(textsOf(await readAll(log, 0)).map((value) => value.split('/')[0]))
    lost.push(...names.filter((name) => !kept.has(name)))
    await log.close()
    damaged.push(...readdirSync(target).filter((name) => name.includes('.damaged')))
  }
  return { acked, lost, damaged }
}

describe.skipIf(!canTrace)('a power cut after syncs that failed (needs apt-get install strace)', () => {
  const starts = Array.from({ length: lasting({ gate: 1, long: 40 }) }, (_, i) => FIRST_SYNC + 1 + i * 3)
  const ranges = starts.flatMap((from) => [0, 1, 2].map((more) => `${from}..${from + more}`))

  it.for(ranges)('loses nothing that was acknowledged: syncs %s', async (failing) => {
    const { acked, lost, damaged } = await outcome(failing)
    expect(lost).toEqual([])
    expect(damaged).toEqual([])
    expect(acked).toBeGreaterThan(APPENDS / 2)
  })

  // The repair finds what stands after the hole, so long as the cut leaves it whole: luck, and no promise.
  it('sees a log that trusts the file again, whose acknowledged appends stand after a hole', async () => {
    const preload = join(import.meta.dirname, '../../variants/trusting-log.ts')
    let seen: string[] = []
    // Which two syncs it takes depends on what they are of.
    for (let from = FIRST_SYNC + 1; seen.length === 0 && from < FIRST_SYNC + 7; from++) {
      const { lost, damaged } = await outcome(`${from}..${from + 1}`, ['--import', preload])
      seen = [...lost, ...damaged]
    }
    expect(seen.length).toBeGreaterThan(0)
  })
})
