import { recordToDeadLetter, type DeadLetter } from '../../../shared/dead-letter.ts'
import type { TelemetryLog } from '../../../shared/log/port.ts'
import type { LetterCursor } from '../letter-cursor.ts'
import { letterId } from '../letter-view.ts'

/** A dead letter with its whole payload. */
export interface WholeLetter {
  readonly id: string
  readonly letter: DeadLetter
  /** Where in `telemetry.dead-letter` it lies. */
  readonly partition: number
  readonly offset: number
}

/** Where going through the letters begins: per partition, which offsets are still to be looked at, `from` to `to`. */
export type Stretches = readonly { readonly partition: number; readonly from: number; readonly to: number }[]

export interface LetterPage {
  readonly letters: readonly WholeLetter[]
  /** What is left behind this page. */
  readonly left: Stretches
}

/** Records looked at for one page. */
export const PAGE_LETTERS = 200
/** Bytes of payloads from which on a page is shorter; the newest letter of a page may have more. */
const PAGE_BYTES = 1024 * 1024

/** All letters that are there now. */
export async function allLetters(log: Pick<TelemetryLog, 'offsets'>): Promise<Stretches> {
  const offsets = await log.offsets('telemetry.dead-letter')
  return offsets.map(({ partition, start, end }) => ({ partition, from: start, to: end }))
}

/**
 * The letters of at most `size` records, the newest first: of several that repeat one source only the newest of the page.
 * Undefined when nothing is left. Newest first, because of two values that were sent for one place the later is to stay.
 */
export async function readPage(
  log: Pick<TelemetryLog, 'read'>,
  stretches: Stretches,
  size: number,
  signal: AbortSignal,
): Promise<LetterPage | undefined> {
  const [first, ...others] = stretches.filter(({ from, to }) => from < to)
  if (first === undefined) return undefined
  const { partition, from, to } = first
  const low = Math.max(from, to - size)
  const found = await readStretch(log, { partition, from: low, to }, signal)
  return { letters: uniqueOf(found.letters), left: [{ partition, from, to: found.from }, ...others] }
}

/** Records of a partition that are read ahead where all partitions are gone through side by side. */
const AHEAD = 50

export interface NewestPage {
  readonly letters: readonly WholeLetter[]
  readonly isLast: boolean
  readonly next: LetterCursor
}

interface Part {
  readonly partition: number
  left: Stretches
  /** The newest is the last. */
  held: WholeLetter[]
}

/**
 * The letters of all partitions, the newest first by when they failed, as far as each partition has them in that order;
 * at most about `most` records are read. `isLast` when none is left behind a page, `next` is where one may go on as
 * `after`. Holds {@link AHEAD} letters of each partition at a time.
 */
export async function* newestPages(
  log: Pick<TelemetryLog, 'offsets' | 'read'>,
  most: number,
  signal: AbortSignal,
  after: LetterCursor = new Map(),
): AsyncGenerator<NewestPage, void, undefined> {
  const parts = (await allLetters(log)).map(({ partition, from, to }): Part => {
    return { partition, left: [{ partition, from, to: Math.min(to, after.get(partition) ?? to) }], held: [] }
  })
  let looked = 0
  const refill = async (part: Part): Promise<void> => {
    while (part.held.length === 0 && looked < most) {
      looked += AHEAD
      const page = await readPage(log, part.left, AHEAD, signal)
      part.left = page?.left ?? []
      if (page === undefined) return
      part.held = page.letters.toReversed()
    }
  }
  await Promise.all(parts.map(refill))
  for (let isLast = false; !isLast;) {
    const letters: WholeLetter[] = []
    let bytes = 0
    while (letters.length < PAGE_LETTERS && bytes < PAGE_BYTES) {
      const newest = newestOf(parts)
      const letter = newest?.held.pop()
      if (newest === undefined || letter === undefined) break
      letters.push(letter)
      bytes += letter.letter.payload.length
      if (newest.held.length === 0) await refill(newest)
    }
    isLast = parts.every((part) => part.held.length === 0 && isRead(part))
    yield { letters, isLast, next: new Map(parts.map((part) => [part.partition, endOf(part)])) }
    if (letters.length === 0) return
  }
}

/** Behind the last that was not given away yet. */
function endOf({ held, left }: Part): number {
  return (held.at(-1)?.offset ?? (left[0]?.to ?? 0) - 1) + 1
}

/** Undefined when none is left, or one that was not read may be newer. */
function newestOf(parts: readonly Part[]): Part | undefined {
  const some = parts.filter(({ held }) => held.length > 0)
  if (parts.some((part) => part.held.length === 0 && !isRead(part))) return undefined
  return some.length === 0 ? undefined : some.reduce((a, b) => (failedMs(b) > failedMs(a) ? b : a))
}

function isRead({ left }: Part): boolean {
  return left.every(({ from, to }) => from >= to)
}

function failedMs({ held }: Part): number {
  return held.at(-1)?.letter.firstFailedMs ?? -Infinity
}

/** Letters in the order of the log; `from` is where they really begin. */
async function readStretch(
  log: Pick<TelemetryLog, 'read'>,
  { partition, from: low, to }: Stretches[number],
  signal: AbortSignal,
): Promise<{ letters: WholeLetter[]; from: number }> {
  const kept: { readonly offset: number; readonly one: WholeLetter; readonly bytes: number }[] = []
  let bytes = 0
  let isShort = false
  const from = { offset: low }
  const options = { topic: 'telemetry.dead-letter', partition, from, maxRecords: PAGE_LETTERS, follow: false } as const
  for await (const { firstOffset, records } of log.read({ ...options, signal })) {
    for (const [i, record] of records.entries()) {
      const offset = firstOffset + i
      const letter = offset >= low && offset < to ? recordToDeadLetter(record) : undefined
      if (letter === undefined) continue
      // A copy, that does not hold on to the batch it came in.
      const payload = new Uint8Array(letter.payload)
      const at = { partition, offset }
      kept.push({ offset, one: { id: letterId(letter, at), letter: { ...letter, payload }, ...at }, bytes })
      bytes += payload.length
    }
    // The oldest are left for the next page.
    while (kept.length > 1 && bytes - (kept[1]?.bytes ?? 0) >= PAGE_BYTES) {
      kept.shift()
      isShort = true
    }
    if (firstOffset + records.length >= to) break
  }
  signal.throwIfAborted()
  return { letters: kept.map(({ one }) => one), from: isShort ? (kept[0]?.offset ?? low) : low }
}

function uniqueOf(letters: readonly WholeLetter[]): WholeLetter[] {
  const newest = new Map(letters.map((one) => [one.id, one]))
  return letters.filter((one) => newest.get(one.id) === one).reverse()
}
