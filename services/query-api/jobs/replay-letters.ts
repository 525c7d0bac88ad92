import { pause } from '../../../shared/backoff.ts'
import { isReplayable } from '../../../shared/dead-letter.ts'
import { RecordsTooLarge, type TelemetryLog } from '../../../shared/log/port.ts'
import type { UploadedTable } from '../../../shared/codecs/uploaded-table.ts'
import type { PointStore } from '../../../shared/points/port.ts'
import type { JobCounts } from '../../../shared/registry/jobs-port.ts'
import type { Registry } from '../../../shared/registry/port.ts'
import type { LogRecord } from '../../../shared/telemetry.ts'
import { Planner, type Outcome, type Plan } from '../replay/planner.ts'
import type { JobHandler, JobRun } from './job-runner.ts'
import { goThroughLetters, sumOf, type NotedLetter } from './letters-job.ts'
import { endsOf, recordsLeft } from './when-stored.ts'

export const REPLAY_LETTERS = 'letters replay'

/** After so many replays a letter is left alone: what is wrong with it was not mended. */
export const MAX_TRIES = 3

/** Between two looks at what is stored by now. */
const LOOK_EVERY_MS = 200

export interface ReplaySources {
  readonly log: Pick<TelemetryLog, 'append' | 'lag' | 'offsets' | 'partitionsOf' | 'read'>
  readonly points: Pick<PointStore, 'query'>
  readonly registry: Pick<Registry, 'decoders' | 'letterNotes' | 'names' | 'policies' | 'tombstones'>
  readonly uploaded: UploadedTable
}

/**
 * Replays letters: decodes them by what holds today, and appends what they name and the store does not have to the log, with
 * the stamp of their record, for the owners of the devices to store. A page is over when it is stored. Each step may be done
 * again: what is stored already is unchanged then, and an owner takes a record that comes twice for what it is.
 */
export function replayLetters(sources: ReplaySources): JobHandler {
  const planner = new Planner(sources)
  return {
    async run(run) {
      const counts = await goThroughLetters(sources, run, (letters) => replayPage(sources, planner, letters, run))
      return { counts, progress: 'Every letter that was asked for was looked at.' }
    },
    cancelled: async () => 'What was replayed so far stays.',
  }
}

/** Why a letter is not replayed; undefined for one that is. */
export function whyNot({ letter, note, isAgain }: NotedLetter): 'not replayable' | 'done' | 'tries' | undefined {
  if (!isReplayable(letter)) return 'not replayable'
  if (!isAgain && (note?.state === 'replayed' || note?.state === 'discarded')) return 'done'
  return triesOf({ note, isAgain }) >= MAX_TRIES ? 'tries' : undefined
}

/** Before this one. */
function triesOf({ note, isAgain }: Pick<NotedLetter, 'note' | 'isAgain'>): number {
  return (note?.tries ?? 0) - (isAgain ? 1 : 0)
}

async function replayPage(sources: ReplaySources, planner: Planner, letters: readonly NotedLetter[], run: JobRun) {
  const open = letters.filter((one) => whyNot(one) === undefined)
  const plans = await planner.plan(open)
  const wanted = plans.map(({ outcomes }) => [...outcomes])
  const records = plans.flatMap((plan, i) => {
    const letter = open[i]
    return letter === undefined ? [] : planner.recordsOf(plan, triesOf(letter) + 1)
  })
  if (records.length > 0) await store(sources, planner, { plans, records, run })
  let counts: JobCounts = { letters: open.length, skipped: letters.length - open.length }
  const notes = plans.map((plan, i) => {
    const own = countsOf(plan, wanted[i] ?? [])
    counts = sumOf(counts, own)
    const letter = open[i]
    const tries = letter === undefined ? 1 : triesOf(letter) + 1
    return { id: plan.letter.id, state: own.faulty > 0 ? ('faulty' as const) : ('replayed' as const), tries }
  })
  return { counts, notes }
}

/** Resolves when the workers have stored the records, or refused them; the plans say what is there then. */
async function store(
  { log }: ReplaySources,
  planner: Planner,
  { plans, records, run }: { plans: readonly Plan[]; records: readonly LogRecord[]; run: JobRun },
): Promise<void> {
  try {
    await log.append('telemetry.raw', records)
  } catch (error) {
    // They stay what they are: faulty letters.
    if (!(error instanceof RecordsTooLarge)) throw error
  }
  const ends = await endsOf(log, new Set(records.flatMap(({ key }) => log.partitionsOf(key))))
  for (let told = -1; ;) {
    run.signal.throwIfAborted()
    const left = await recordsLeft(log, ends)
    await planner.compare(plans)
    if (left === 0 || !plans.some(({ outcomes }) => outcomes.includes('stored'))) return
    if (left !== told && told !== -1) {
      await run.save({ progress: `Waiting for the workers to pass ${left} records.` })
    }
    told = left
    await pause(LOOK_EVERY_MS, run.signal)
  }
}

/** `before`: the outcomes before anything was appended; what was missing then and is there now was stored. */
function countsOf({ faulty, outcomes }: Plan, before: readonly Outcome[]): Record<Outcome | 'faulty', number> {
  const counts = { stored: 0, unchanged: 0, superseded: 0, deleted: 0, faulty }
  for (const [i, outcome] of outcomes.entries()) {
    if (outcome === 'stored') counts.faulty += 1
    else if (outcome === 'unchanged' && before[i] === 'stored') counts.stored += 1
    else counts[outcome] += 1
  }
  return counts
}
