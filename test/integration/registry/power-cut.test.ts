import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { createLogger } from '../../../shared/process/logger.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import { openSqliteRegistry } from '../../../shared/registry/sqlite/open.ts'
import { tempFolder } from '../../helpers.ts'
import { startLineProcess, type LineProcess } from '../../line-process.ts'
import { lasting } from '../../long.ts'
import { CUTS, cutPower, recorded } from '../../power-cut.ts'

const canTrace = spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0
const KEY = Buffer.alloc(32, 1)
/** Enough for a sync at the last position. */
const DEVICES = 14
/** A new registry is open, and devices are being made, after this many syncs of its thread. */
const FIRST_SYNC = 18
const PROCESS = fileURLToPath(new URL('./registry-process.ts', import.meta.url))
const VARIANTS = join(import.meta.dirname, '../../variants')

interface Run {
  readonly file: string
  readonly trace: string
  /** Syncs that fail, as {@link recorded} takes them. */
  readonly failing?: string
  readonly variant?: string
}

function start({ file, trace, failing, variant }: Run): LineProcess {
  const preload = variant === undefined ? [] : ['--import', join(VARIANTS, variant)]
  const command = [process.execPath, ...preload, PROCESS, file, KEY.toString('hex')]
  return startLineProcess(recorded(command, trace, failing))
}

/** Makes devices and ends the logins of every other one, until something fails; returns the codes of what failed. */
async function work(child: LineProcess, prefix: string, endAt: 'failure' | 'end'): Promise<string[]> {
  const failures: string[] = []
  for (let i = 0; i < DEVICES; i++) {
    for (const verb of i % 2 === 0 ? ['make'] : ['make', 'revoke']) {
      child.send(`${verb} ${prefix}${i}`)
      const [said, , code = ''] = (await child.next(/^(made|revoked|failed) /)).split(' ')
      if (said === 'failed') failures.push(code)
      if (said === 'failed' && endAt === 'failure') return failures
    }
  }
  return failures
}

/** What was said to be done and is not there after a cut at one of several moments. */
async function lostAfterCut(text: string, folder: string): Promise<{ done: number; lost: string[] }> {
  const lost: string[] = []
  let done = 0
  for (const at of CUTS) {
    const target = join(tempFolder(), 'cut')
    const said = cutPower({ trace: text, folder, target, at }).filter((line) => /^(made|revoked) /.test(line))
    done = said.length
    if (done === 0) continue
    const shared = { logger: createLogger('silent'), metrics: createMetrics({ defaults: false }) }
    const opening = openSqliteRegistry({ file: join(target, 'registry.db'), credentialKey: KEY, ...shared })
    const [opened] = await Promise.allSettled([opening])
    // The checksums show it where a change behind the hole is whole.
    if (opened.status === 'rejected') lost.push(String(opened.reason))
    if (opened.status === 'rejected') continue
    const registry = opened.value
    for (const line of said) {
      const [verb, name = ''] = line.split(' ')
      const isMade = (await registry.getDevice('acme', name)) !== undefined
      const isEnded = isMade && (await registry.credentials.list(`acme/${name}`)).length === 0
      if (!(verb === 'revoked' ? isEnded : isMade)) lost.push(line)
    }
    await registry.close()
  }
  return { done, lost }
}

interface Outcome {
  readonly failures: string[]
  /** Why it could not close the registry; none when it could. */
  readonly unclosed: string[]
  readonly exitCode: number | null
  readonly done: number
  readonly lost: string[]
}

/** One process in which syncs fail, one after it that goes on, and then the power is cut. */
async function outcome(failing: string, how: 'ends' | 'is killed', variant?: string): Promise<Outcome> {
  const folder = join(tempFolder(), 'data')
  const [first, second] = [join(tempFolder(), 'trace'), join(tempFolder(), 'trace')]
  const file = join(folder, 'registry.db')
  const child = start({ file, trace: first, failing, ...(variant === undefined ? {} : { variant }) })
  const pid = Number((await child.next(/^ready /)).split(' ')[1])
  const failures = await work(child, 'a', 'failure')
  if (how !== 'ends') process.kill(pid, 'SIGKILL')
  const exitCode = await child.ended()
  const unclosed = child.lines.filter((line) => line.startsWith('not closed'))
  const next = start({ file, trace: second, ...(variant === undefined ? {} : { variant }) })
  const nextPid = Number((await next.next(/^ready /)).split(' ')[1])
  expect(await work(next, 'b', 'end')).toEqual([])
  process.kill(nextPid, 'SIGKILL')
  await next.ended()
  const text = [first, second].map((trace) => readFileSync(trace, 'latin1')).join('\n')
  return { failures, unclosed, exitCode, ...(await lostAfterCut(text, folder)) }
}

describe.skipIf(!canTrace)('a power cut after syncs of the registry that failed (needs apt-get install strace)', () => {
  // Each position with one, two and three syncs, in turn with an end of either kind.
  const cases = Array.from({ length: lasting({ gate: 3, long: 72 }) }, (_, i) => {
    const from = FIRST_SYNC + 1 + Math.floor(i / 6)
    return { failing: `${from}..${from + (i % 3)}`, how: i % 2 === 0 ? ('is killed' as const) : ('ends' as const) }
  })

  it.for(cases)(
    'finds all that was answered as done: syncs $failing, and the process $how',
    async ({ failing, how }) => {
      const { failures, unclosed, exitCode, done, lost } = await outcome(failing, how)
      expect(failures).toEqual(['storage_failed'])
      expect(unclosed.filter((line) => line !== 'not closed storage_failed')).toEqual([])
      if (how === 'ends') expect(exitCode).toBe(1)
      expect(lost).toEqual([])
      expect(done).toBeGreaterThan(DEVICES)
    },
  )

  it('sees a registry that believes what the kernel shows at the start', async () => {
    let lost: string[] = []
    for (let at = FIRST_SYNC + 1; lost.length === 0 && at < FIRST_SYNC + 7; at++) {
      lost = (await outcome(`${at}`, 'is killed', 'believing-wal.ts')).lost
    }
    expect(lost.length).toBeGreaterThan(0)
  })
})
