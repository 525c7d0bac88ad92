import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { createMetrics } from '../../../shared/process/metrics.ts'
import type { Queued } from '../../../shared/sessions/port.ts'
import { openSqliteSessions, type SqliteSessionStore } from '../../../shared/sessions/sqlite/open.ts'
import { quiet } from '../../broker-harness.ts'
import { all, KEPT } from '../../contract/sessions-harness.ts'
import { tempFolder } from '../../helpers.ts'
import { startLineProcess, type LineProcess } from '../../line-process.ts'
import { lasting } from '../../long.ts'
import { CUTS, cutPower, recorded } from '../../power-cut.ts'
import { AWAY, COMMANDED, SENDER } from './session-names.ts'

const canTrace = spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0
const VERBS = ['retain', 'queue', 'command', 'incoming', 'open', 'will']
const ROUNDS = lasting({ gate: 2, long: 5 })
/** In a long run the WAL is moved into the database once in a process. */
const PAYLOAD_BYTES = lasting({ gate: 100, long: 300_000 })
/** A new file is open, and its sessions are away, after this many syncs of its thread. */
const FIRST_SYNC = 16
const PROCESS = fileURLToPath(new URL('./sessions-process.ts', import.meta.url))
const VARIANTS = join(import.meta.dirname, '../../variants')

interface Run {
  readonly file: string
  readonly trace: string
  /** Syncs that fail, as {@link recorded} takes them. */
  readonly failing?: string
  readonly variant?: string | undefined
}

function start({ file, trace, failing, variant }: Run): LineProcess {
  const preload = variant === undefined ? [] : ['--import', join(VARIANTS, variant)]
  const command = [process.execPath, ...preload, PROCESS, file, String(PAYLOAD_BYTES)]
  return startLineProcess(recorded(command, trace, failing))
}

/** Undefined when it ended before it was ready. */
async function pidOf(child: LineProcess): Promise<number | undefined> {
  const [said] = await Promise.allSettled([child.next(/^ready /)])
  return said.status === 'fulfilled' ? Number(said.value.split(' ')[1]) : undefined
}

/** Has everything stored that is acknowledged, numbered from `first`, until something fails; the code of that. */
async function work(child: LineProcess, first: number): Promise<string | undefined> {
  for (let n = first; n < first + ROUNDS; n++) {
    for (const verb of VERBS) {
      child.send(`${verb} ${n}`)
      const [, , said] = (await child.next(new RegExp(`^${verb} ${n} `))).split(' ')
      if (said !== 'done') return said
    }
  }
  return undefined
}

/** Everything that a store of sessions holds, as what was said to be done. */
async function contentOf(store: SqliteSessionStore, asked: readonly string[]): Promise<ReadonlySet<string>> {
  const found = new Set<string>()
  for (const { topic } of await all(store.retained(['retained/#']))) found.add(`retain ${topic.split('/')[1]}`)
  const numberOf = ({ message }: Queued): number => Number(message.payload.toString())
  for (const [verb, { clientId }] of [['queue', AWAY] as const, ['command', COMMANDED] as const]) {
    await store.claim(clientId, KEPT)
    for (const queued of await all(store.queue(clientId))) found.add(`${verb} ${numberOf(queued)}`)
  }
  const sender = await store.claim(SENDER, KEPT)
  for (const id of sender.left.unreleased.keys()) found.add(`open ${id}`)
  for (const line of asked.filter((one) => one.startsWith('incoming '))) {
    if (await store.hasIncoming(sender, Number(line.split(' ')[1]))) found.add(line)
  }
  store.begin(async ({ payload }) => {
    found.add(`will ${payload.toString()}`)
    return Promise.resolve(true)
  })
  // Answered behind the first look at wills that are due.
  await store.claim(SENDER, KEPT)
  return found
}

/** What was said to be done and is not there after a cut at one of several moments. */
async function lostAfterCut(text: string, folder: string): Promise<{ done: number; lost: string[] }> {
  const lost: string[] = []
  let done = 0
  for (const at of CUTS) {
    const target = join(tempFolder(), 'cut')
    const said = cutPower({ trace: text, folder, target, at })
    const asked = said.filter((line) => line.endsWith(' done')).map((line) => line.slice(0, -' done'.length))
    done = asked.length
    if (done === 0) continue
    const metrics = createMetrics({ defaults: false })
    const file = join(target, 'sessions.db')
    const store = await openSqliteSessions({ file, maxSessions: 64, logger: quiet, metrics, onFailed: () => undefined })
    const found = await contentOf(store, asked)
    lost.push(...asked.filter((line) => !found.has(line)).map((line) => `${line}, cut at ${at}`))
    await store.close()
  }
  return { done, lost }
}

interface Outcome {
  /** Code of the first failure; undefined when the process did not come as far as that. */
  readonly failure: string | undefined
  readonly exitCodes: readonly (number | null)[]
  readonly done: number
  readonly lost: string[]
}

interface Trouble {
  /** The sync that fails first, counted from the start of a process with a new file. */
  readonly from: number
  /** Syncs that fail: the first ones of so many further processes, too, each started after the one before. */
  readonly inARow: number
  readonly how: 'ends' | 'is killed'
}

/** Processes in which syncs fail, one after them that goes on, and then the power is cut. */
async function outcome({ from, inARow, how }: Trouble, variant?: string): Promise<Outcome> {
  const folder = join(tempFolder(), 'data')
  const file = join(folder, 'sessions.db')
  const traces: string[] = []
  const exitCodes: (number | null)[] = []
  let failure: string | undefined
  const next = (failing?: number): LineProcess => {
    const trace = join(tempFolder(), 'trace')
    traces.push(trace)
    return start({ file, trace, variant, ...(failing === undefined ? {} : { failing: `${failing}` }) })
  }
  for (let i = 0; i < inARow; i++) {
    const child = next(i === 0 ? from : 1)
    const pid = await pidOf(child)
    const failed = pid === undefined ? undefined : await work(child, 1 + i * ROUNDS)
    failure ??= failed
    // SQLite says nothing of a folder's sync: it goes on, and is killed.
    const goesOn = pid !== undefined && failed === undefined
    if (pid !== undefined && (goesOn || how === 'is killed')) process.kill(pid, 'SIGKILL')
    const exitCode = await child.ended()
    if (!goesOn) exitCodes.push(exitCode)
  }
  const last = next()
  const pid = await pidOf(last)
  if (pid === undefined) throw new Error('the last process did not start')
  expect(await work(last, 1 + inARow * ROUNDS)).toBeUndefined()
  process.kill(pid, 'SIGKILL')
  await last.ended()
  const text = traces.map((trace) => readFileSync(trace, 'latin1')).join('\n')
  return { failure, exitCodes, ...(await lostAfterCut(text, folder)) }
}

describe.skipIf(!canTrace)('a power cut after syncs of sessions that failed (needs apt-get install strace)', () => {
  // In turn with an end of either kind.
  const cases = Array.from({ length: lasting({ gate: 3, long: 3 * 46 }) }, (_, i) => {
    const from = lasting({ gate: FIRST_SYNC + 2, long: 1 }) + Math.floor(i / 3)
    return { from, inARow: 1 + (i % 3), how: i % 2 === 0 ? ('is killed' as const) : ('ends' as const) }
  })

  it.for(cases)(
    'finds all that was acknowledged: sync $from, $inARow in a row, and the process $how',
    async ({ from, inARow, how }) => {
      const { failure, exitCodes, done, lost } = await outcome({ from, inARow, how })
      if (from > FIRST_SYNC) expect(failure).toBe('storage_failed')
      if (how === 'ends') expect(exitCodes).toEqual(exitCodes.map(() => 1))
      expect(lost).toEqual([])
      // Of what was said last the kill may have come before strace had written it down.
      expect(done).toBeGreaterThanOrEqual(ROUNDS * VERBS.length - 1)
    },
  )

  it('sees a store that believes what the kernel shows at the start', async () => {
    let lost: string[] = []
    for (let from = FIRST_SYNC + 2; lost.length === 0 && from < FIRST_SYNC + 8; from++) {
      lost = (await outcome({ from, inARow: 1, how: 'is killed' }, 'believing-wal.ts')).lost
    }
    expect(lost.length).toBeGreaterThan(0)
  })
})
