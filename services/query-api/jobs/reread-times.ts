import type { UploadedTable } from '../../../shared/codecs/uploaded-table.ts'
import { recordsForOwner } from '../../../shared/decoders/for-owner.ts'
import type { TelemetryLog } from '../../../shared/log/port.ts'
import type { PointStore } from '../../../shared/points/port.ts'
import { isSameValue, storedValues } from '../../../shared/points/stored-values.ts'
import { IN_PLACE } from '../../../shared/record.ts'
import type { JobCounts } from '../../../shared/registry/jobs-port.ts'
import type { Registry } from '../../../shared/registry/port.ts'
import { concatenate, type PointBatch } from '../../../shared/telemetry.ts'
import { MoveFinder, type Move } from '../reread/moves.ts'
import { countWalk, walk } from '../reread/walk.ts'
import type { RereadSpec } from '../reread/zone-of-today.ts'
import type { JobHandler, JobRun } from './job-runner.ts'
import { whenStored } from './when-stored.ts'

export const REREAD_TIMES = 'times reread'

/** Deletes under way: each is a request where the store is a server. */
const DELETES = 8

export interface RereadSources {
  readonly log: Pick<TelemetryLog, 'append' | 'lag' | 'offsets' | 'partitionsOf' | 'read'>
  readonly points: Pick<PointStore, 'query' | 'delete' | 'sync'>
  readonly registry: Pick<Registry, 'decoders' | 'names' | 'policies' | 'tombstones'>
  readonly uploaded: UploadedTable
}

/**
 * Moves readings that stand at their receive time, for want of a zone, to the times that a zone gives them, as far as their
 * messages are in the log. Each is first stored where it belongs, by the owner of its device, and taken away where it was only
 * when it is there. So every step may be done again; whoever goes on begins anew, and what was moved is not there any more.
 */
export function rereadTimes(sources: RereadSources): JobHandler {
  return {
    async run(run) {
      const finder = new MoveFinder(sources, run.job.spec as RereadSpec) // written by the route
      const counts = await countWalk(walk(sources.log, finder, run), async ({ moves }) => move(sources, moves, run))
      await sources.points.sync()
      return { counts, progress: 'All of the log was looked at.' }
    },
    cancelled: async () => 'What was moved so far stays moved.',
  }
}

/** What a job would do with these, which changes nothing. */
export async function countMoves(sources: Omit<RereadSources, 'log'>, moves: readonly Move[]): Promise<JobCounts> {
  const open = await openOf(sources, moves)
  const free = await placesOf(sources, open)
  const taken = free.filter((place) => place === 'taken').length
  return { moved: open.length - taken, taken, done: moves.length - open.length }
}

async function move(sources: RereadSources, moves: readonly Move[], run: JobRun): Promise<JobCounts> {
  const open = await openOf(sources, moves)
  const before = await placesOf(sources, open)
  const missing = open.filter((_, i) => before[i] === 'free')
  const records = missing.flatMap((one) => [...recordsOf(sources, one)])
  if (records.length > 0) {
    await sources.log.append('telemetry.raw', records)
    await whenStored(sources.log, new Set(records.flatMap(({ key }) => sources.log.partitionsOf(key))), run.signal)
  }
  run.signal.throwIfAborted()
  const after = await placesOf(sources, open)
  const there = open.filter((_, i) => after[i] === 'there')
  for (let i = 0; i < there.length; i += DELETES) {
    await Promise.all(there.slice(i, i + DELETES).map((one) => takeAway(sources.points, one)))
  }
  await run.save({ progress: `${there.length} readings were moved just now.` })
  return { moved: there.length, taken: open.length - there.length, done: moves.length - open.length }
}

/** Those of which something stands where they were stored first. */
async function openOf({ points }: Pick<RereadSources, 'points'>, moves: readonly Move[]): Promise<Move[]> {
  const stored = await storedIn(points, moves, ({ old }) => old)
  return moves.filter((_, i) => stored[i]?.some((value) => value !== undefined))
}

type Place = 'free' | 'there' | 'taken'

/** Whether all of a reading is where it belongs, or can be, or something else is in its place, or was deleted there. */
async function placesOf(sources: Omit<RereadSources, 'log'>, moves: readonly Move[]): Promise<Place[]> {
  const stored = await storedIn(sources.points, moves, ({ next }) => next)
  const deleted = await sources.registry.tombstones.current()
  return moves.map(({ next, record }, i) => {
    const values = stored[i] ?? []
    const isThere = values.map((value, j) => value !== undefined && isSameValue(value, next.values[j] ?? 0))
    if (isThere.every((one) => one)) return 'there'
    const isTaken = next.series.some((series, j) => {
      const time = { ms: next.ms[j] ?? 0, ns: next.ns[j] ?? 0 }
      return deleted.covers(series, time, record.ms) || (values[j] !== undefined && isThere[j] === false)
    })
    return isTaken ? 'taken' : 'free'
  })
}

async function storedIn(points: RereadSources['points'], moves: readonly Move[], of: (move: Move) => PointBatch) {
  const stored = await storedValues(points, concatenate(moves.map(of)))
  let at = 0
  return moves.map((one) => stored.slice(at, (at += of(one).series.length)))
}

function recordsOf({ registry: { names } }: RereadSources, { record, tenant, uid, stream, next }: Move) {
  const owner = { tenant, device: names.nameOf(tenant, uid), uid, stream }
  return recordsForOwner(record, owner, next, () => ({ ...IN_PLACE, replay: '1' }))
}

/** Nothing else has its receive time. */
async function takeAway(points: RereadSources['points'], { tenant, uid, stream, from }: Move): Promise<void> {
  const to = from.ns === 999_999 ? { ms: from.ms + 1, ns: 0 } : { ms: from.ms, ns: from.ns + 1 }
  await points.delete({ tenant, device: uid, stream, from, to })
}
