import { pause } from '../../../shared/backoff.ts'
import { numberIn } from '../../../shared/decoders/json-values.ts'
import { recordsForOwner } from '../../../shared/decoders/for-owner.ts'
import { SluiceError } from '../../../shared/errors.ts'
import type { TelemetryLog } from '../../../shared/log/port.ts'
import type { PointStore } from '../../../shared/points/port.ts'
import { IN_PLACE } from '../../../shared/record.ts'
import type { Registry } from '../../../shared/registry/port.ts'
import type { DeclaredField } from '../../../shared/registry/types-port.ts'
import { formatInstant, type PointBatch, type PointValue, type Series } from '../../../shared/telemetry.ts'
import type { NumberType } from '../../../shared/types/meaning.ts'
import type { JobHandler, JobRun } from './job-runner.ts'
import { storedNumbers } from './stored-numbers.ts'
import { storedTexts, type StoredText } from './stored-texts.ts'
import { whenStored } from './when-stored.ts'

export const REWRITE_TYPES = 'types rewrite'

/** What is to become numbers. */
export interface RewriteSpec extends DeclaredField {
  readonly type: NumberType
  /** Only count. */
  readonly dryRun: boolean
}

export interface RewriteSources {
  readonly log: Pick<TelemetryLog, 'append' | 'lag' | 'offsets' | 'partitionsOf'>
  readonly points: Pick<PointStore, 'query' | 'scan'>
  readonly registry: Pick<Registry, 'declaredTypes' | 'names'>
}

/** Texts that are no numbers and are shown. */
const MAX_SHOWN = 3

/**
 * Declares the type of a field and stores the number that each of its texts is, beside it: when all of them
 * are numbers, else nothing is done. The texts stay as they were sent. The numbers take the way of all readings,
 * through the log to the owners of the devices, as replayed ones: they fill gaps and take nobody's place, so that each step
 * may be done again.
 */
export function rewriteTypes(sources: RewriteSources): JobHandler {
  return {
    async run(run) {
      const spec = run.job.spec as RewriteSpec // written by the route
      const { counts, refused } = await check(sources, spec, run)
      const told =
        counts.texts === 0 ? 'There are no texts.' : `${counts.numbers} of ${counts.texts} texts are numbers.`
      if (refused.length > 0) {
        const progress = `${told} Those that are none: ${refused.join('; ')}${counts.others > refused.length ? '; ...' : ''}`
        if (spec.dryRun) return { counts, progress }
        throw new SluiceError('values_not_numbers', `${progress}. Nothing was changed.`)
      }
      if (spec.dryRun) return { counts, progress: told }
      const { sinceMs } = await sources.registry.declaredTypes.declare(spec, { type: spec.type }, run.job.who)
      // By then every worker has heard of it.
      await pause(Math.max(0, sinceMs - Date.now()), run.signal)
      run.signal.throwIfAborted()
      return write(sources, spec, run, counts)
    },
    cancelled: async () => 'Numbers that were stored so far stay, beside the texts.',
  }
}

interface Counts {
  readonly [name: string]: number
  readonly texts: number
  readonly numbers: number
  readonly others: number
}

async function check(
  { points, registry }: RewriteSources,
  spec: RewriteSpec,
  run: JobRun,
): Promise<{ counts: Counts; refused: string[] }> {
  const counts = { texts: 0, numbers: 0, others: 0 }
  const refused: string[] = []
  for await (const texts of storedTexts(points, registry.names, spec, run.signal)) {
    for (const { device, time, text } of texts) {
      counts.texts += 1
      if (numberIn(text) !== undefined) counts.numbers += 1
      else {
        counts.others += 1
        if (refused.length < MAX_SHOWN)
          refused.push(`${device} at ${formatInstant(time)}: ${JSON.stringify(text.slice(0, 40))}`)
      }
    }
    await run.save({ counts: { ...counts }, progress: 'Looking at the texts.' })
  }
  return { counts, refused }
}

async function write(
  sources: RewriteSources,
  spec: RewriteSpec,
  run: JobRun,
  checked: Counts,
): Promise<{ counts: Counts; progress: string }> {
  const counts = { ...checked, stored: 0, unchanged: 0, superseded: 0 }
  let missing = 0
  for await (const texts of storedTexts(sources.points, sources.registry.names, spec, run.signal)) {
    const batch = numbersOf(texts, spec)
    const before = await storedNumbers(sources.points, batch, spec, run.signal)
    const isWanted = (i: number) =>
      before[i] === undefined || (spec.type === 'integer' && isLessExact(before[i], batch.values[i]))
    const records = [...recordsOf(texts, batch, isWanted, spec)]
    if (records.length > 0) {
      await sources.log.append('telemetry.raw', records)
      const partitions = new Set(records.flatMap(({ key }) => sources.log.partitionsOf(key)))
      const tell = (left: number) => run.save({ progress: `Waiting for the workers to pass ${left} records.` })
      await whenStored(sources.log, partitions, run.signal, tell)
    }
    const after = records.length === 0 ? before : await storedNumbers(sources.points, batch, spec, run.signal)
    for (const [i, value] of batch.values.entries()) {
      if (after[i] === undefined) missing += 1
      else if (Number(after[i]) !== Number(value)) counts.superseded += 1
      else if (isWanted(i)) counts.stored += 1
      else counts.unchanged += 1
    }
    await run.save({ counts: { ...counts }, progress: 'Storing the numbers.' })
  }
  if (missing > 0) {
    const told = `${missing} numbers are not stored: their letters say why. Once that is mended, ask for the same again`
    throw new SluiceError('values_not_numbers', told)
  }
  return { counts, progress: 'Every text has its number beside it.' }
}

function numbersOf(texts: readonly StoredText[], { tenant, stream, field }: DeclaredField): PointBatch {
  const known = new Map<string, Series>()
  const batch = { series: [] as Series[], ms: [] as number[], ns: [] as number[], values: [] as PointValue[] }
  for (const { uid, time, text } of texts) {
    const value = numberIn(text)
    // It came after the look at all of them.
    if (value === undefined) continue
    const series = known.get(uid) ?? { tenant, device: uid, stream, field, type: 'float' as const }
    known.set(uid, series)
    batch.series.push(series)
    batch.ms.push(time.ms)
    batch.ns.push(time.ns)
    batch.values.push(value)
  }
  return batch
}

/** A double is there, where an integer of 64 bits would be exact. */
function isLessExact(before: PointValue | undefined, value: PointValue | undefined): boolean {
  if (typeof value !== 'bigint' || BigInt.asIntN(64, value) !== value) return false
  return typeof before === 'number' && Number(value) === before
}

/** By device, with the newest time of its numbers as the receive time: it was received by then, and is not seen anew. */
function* recordsOf(
  texts: readonly StoredText[],
  batch: PointBatch,
  isWanted: (i: number) => boolean,
  { tenant, stream }: DeclaredField,
) {
  const names = new Map(texts.map(({ uid, device }) => [uid, device]))
  const wanted = [...batch.series.keys()].filter(isWanted)
  for (const [uid, own] of Map.groupBy(wanted, (i) => batch.series[i]?.device ?? '')) {
    const pick = <T>(column: readonly T[]): T[] => own.flatMap((i) => column.slice(i, i + 1))
    const points = { series: pick(batch.series), ms: pick(batch.ms), ns: pick(batch.ns), values: pick(batch.values) }
    const ms = Math.min(Date.now(), Math.max(...points.ms))
    const owner = { tenant, device: names.get(uid) ?? uid, uid, stream }
    yield* recordsForOwner({ key: '', value: Buffer.alloc(0), ms, ns: 0, headers: undefined }, owner, points, () => ({
      ...IN_PLACE,
      replay: '1',
    }))
  }
}
