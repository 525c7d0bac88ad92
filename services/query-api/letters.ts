import { faultsOf, kindOf, type DeadLetter, type LetterKind } from '../../shared/dead-letter.ts'
import { isErrorCode } from '../../shared/errors.ts'
import type { TelemetryLog } from '../../shared/log/port.ts'
import type { DeviceNames } from '../../shared/registry/names-port.ts'
import type { Registry } from '../../shared/registry/port.ts'
import { parseDeviceKey } from '../../shared/topics.ts'
import { DeletedLetters } from './deleted-letters.ts'
import type { LetterCursor } from './letter-cursor.ts'
import { LetterReader, readWindow, WINDOW, type FoundLetter } from './letter-reader.ts'
import { letterId, sourceId } from './letter-view.ts'
import { isOwner, type OwnerFilter } from './owners.ts'

/** What of the dead letters is asked for. */
export interface LetterFilter extends OwnerFilter {
  /** As `letterId` makes it. */
  readonly id?: string | undefined
  /** Of any of its faults. */
  readonly code?: string | undefined
  readonly kind?: LetterKind | undefined
  /** When it failed, in whole milliseconds: inclusive. */
  readonly fromMs?: number | undefined
  /** Exclusive. */
  readonly toMs?: number | undefined
}

/** Letters looked at for one answer: what a filter that matches little may cost. */
const MAX_SCANNED = 20_000
/** Letters one after the other that failed before a span, behind which none of it is looked for: a partition is not quite in order. */
const MAX_EARLY = 200
/** Characters of faults and bytes of payloads in one answer, about; a letter may have a hundred faults. */
const MAX_SIZE = 4 * 1024 * 1024

/**
 * The newest dead letters, newest first, and the cursor that continues behind them (undefined at the end). Of the
 * repeats of one source only the newest counts. An answer may be shorter than `limit` where a bound of one scan ended it.
 * `inTime`: it ends at the first letters that failed before `fromMs`, although some that lie behind them may have failed later.
 */
export async function newestLetters(
  { log, registry }: { readonly log: TelemetryLog; readonly registry: Pick<Registry, 'names' | 'tombstones'> },
  query: { filter: LetterFilter; limit: number; cursor?: LetterCursor | undefined; inTime?: boolean },
): Promise<{ letters: FoundLetter[]; next: LetterCursor | undefined }> {
  const { names } = registry
  const deleted = await DeletedLetters.of(registry)
  const offsets = await log.offsets('telemetry.dead-letter')
  const seen = new Set<string>()
  const readers: LetterReader[] = []
  for (const { partition, start, end } of offsets) {
    const from = Math.min(query.cursor?.get(partition) ?? end, end)
    // Repeats lie above their first copies: those of letters on this page may have been on an earlier one.
    await noteSources(log, partition, from, Math.min(end, from + MAX_SCANNED), seen)
    readers.push(new LetterReader(log, { partition, start, end: from }, deleted))
  }
  const letters: FoundLetter[] = []
  let [size, early] = [0, 0]
  for (let scanned = 0; scanned < MAX_SCANNED && letters.length < query.limit; scanned += 1) {
    if (size > MAX_SIZE) break
    const entry = await takeNewest(readers)
    if (entry === 'end') return { letters, next: undefined }
    const { found, failedMs } = entry
    early = failedMs < (query.filter.fromMs ?? -Infinity) ? early + 1 : 0
    if (query.inTime === true && early > MAX_EARLY) break
    if (found === undefined || !isNew(found.letter, seen) || !letterMatches(names, query.filter, found)) continue
    letters.push(found)
    size += sizeOf(found.letter)
  }
  const left = await Promise.all(readers.map((reader) => reader.peek()))
  const next = new Map(readers.map((reader) => [reader.partition, reader.position]))
  return { letters, next: left.every((entry) => entry === undefined) ? undefined : next }
}

interface NewestEntry {
  readonly failedMs: number
  readonly found: FoundLetter | undefined
}

/** `partition` and `offset`: where the letter itself lies. */
export function letterMatches(
  names: DeviceNames,
  filter: LetterFilter,
  { letter, ...at }: Pick<FoundLetter, 'letter' | 'partition' | 'offset'>,
): boolean {
  const { id, tenant, device, code, kind, fromMs = -Infinity, toMs = Infinity } = filter
  if (letter.firstFailedMs < fromMs || letter.firstFailedMs >= toMs) return false
  if (id !== undefined && letterId(letter, at) !== id) return false
  if (code !== undefined && !(isErrorCode(code) && faultsOf(letter).counts.has(code))) return false
  if (kind !== undefined && kindOf(letter) !== kind) return false
  if (tenant === undefined && device === undefined) return true
  const owner = parseDeviceKey(letter.key)
  // Who could not log in is known by the name that it gave.
  if (owner !== undefined && letter.stage !== 'connect') return isOwner(names, filter, letter.key)
  const named = owner ?? parseDeviceKey(letter.who)
  if (named === undefined) return false
  return (tenant === undefined || named.tenant === tenant) && (device === undefined || named.device === device)
}

function sizeOf(letter: DeadLetter): number {
  const faults = faultsOf(letter).first
  return faults.reduce((sum, { path, detail }) => sum + (path?.length ?? 0) + detail.length, letter.payload.length)
}

/**
 * False for a repeat of one that was seen, and for the old letter of a reading whose record has come again as a whole: no
 * other record of the same place has the same stamp.
 */
function isNew(letter: DeadLetter, seen: Set<string>): boolean {
  const id = sourceId(letter)
  if (id === undefined || letter.source === undefined) return true
  const { partition, offset, element } = letter.source
  const record = `${partition}/${offset} ${letter.ms}.${letter.ns}`
  if (seen.has(id) || (element !== undefined && seen.has(record))) return false
  seen.add(id)
  if (element === undefined) seen.add(record)
  return true
}

/** The newest entry of all partitions: a letter, or undefined for a record that is none; `end` when all are read. */
async function takeNewest(readers: readonly LetterReader[]): Promise<NewestEntry | 'end'> {
  let newest: (NewestEntry & { reader: LetterReader }) | undefined
  for (const reader of readers) {
    const entry = await reader.peek()
    if (entry !== undefined && (newest === undefined || entry.failedMs > newest.failedMs)) newest = { reader, ...entry }
  }
  if (newest === undefined) return 'end'
  newest.reader.take()
  return newest
}

async function noteSources(
  log: TelemetryLog,
  partition: number,
  from: number,
  to: number,
  seen: Set<string>,
): Promise<void> {
  for (let low = from; low < to; low += WINDOW) {
    for (const { found } of await readWindow(log, partition, low, Math.min(to, low + WINDOW))) {
      if (found !== undefined) isNew(found.letter, seen)
    }
  }
}
