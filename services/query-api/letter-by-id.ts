import { recordToDeadLetter } from '../../shared/dead-letter.ts'
import type { TelemetryLog } from '../../shared/log/port.ts'
import { letterId } from './letter-view.ts'
import type { WholeLetter } from './replay/letter-pages.ts'

/** Records that are read at a time, of the newest of a partition; twice as many with every further step back. */
const FIRST_STEP = 200
const MAX_STEP = 10_000
const BATCH_RECORDS = 1_000

/** Below which offset a partition is still to be looked through. */
interface Part {
  readonly partition: number
  readonly start: number
  end: number
}

/**
 * The newest letter with an id, with its whole payload; undefined where there is none. Looks through all letters that the
 * log has, the newest first, and holds one: what a letter has in its id is the place of its record, not its own.
 */
export async function letterById(
  log: Pick<TelemetryLog, 'offsets' | 'read'>,
  id: string,
  signal: AbortSignal,
): Promise<WholeLetter | undefined> {
  const own = /^refused\/(\d{1,9})\/(\d{1,15})$/.exec(id)
  const parts = (await log.offsets('telemetry.dead-letter')).map(({ partition, start, end }): Part => {
    return { partition, start, end }
  })
  // What was no record is called by its own place.
  if (own !== null) {
    const [partition, offset] = [Number(own[1]), Number(own[2])]
    const part = parts.find((one) => one.partition === partition)
    if (part === undefined || offset < part.start || offset >= part.end) return undefined
    return newestOf(log, id, { partition, low: offset, high: offset + 1 }, signal)
  }
  let left = parts.filter(({ start, end }) => start < end)
  for (let step = FIRST_STEP; left.length > 0; step = Math.min(2 * step, MAX_STEP)) {
    const found: WholeLetter[] = []
    for (const part of left) {
      const { partition, end: high } = part
      part.end = Math.max(part.start, high - step)
      const newest = await newestOf(log, id, { partition, low: part.end, high }, signal)
      if (newest !== undefined) found.push(newest)
    }
    if (found.length > 0) return found.reduce((a, b) => (b.letter.firstFailedMs > a.letter.firstFailedMs ? b : a))
    left = left.filter(({ start, end }) => start < end)
  }
  return undefined
}

async function newestOf(
  log: Pick<TelemetryLog, 'read'>,
  id: string,
  { partition, low, high }: { readonly partition: number; readonly low: number; readonly high: number },
  signal: AbortSignal,
): Promise<WholeLetter | undefined> {
  let newest: WholeLetter | undefined
  const [from, maxRecords] = [{ offset: low }, Math.min(high - low, BATCH_RECORDS)]
  const read = log.read({ topic: 'telemetry.dead-letter', partition, from, maxRecords, follow: false, signal })
  for await (const { firstOffset, records } of read) {
    for (const [i, record] of records.entries()) {
      const offset = firstOffset + i
      const letter = offset >= low && offset < high ? recordToDeadLetter(record) : undefined
      if (letter === undefined || letterId(letter, { partition, offset }) !== id) continue
      // A copy, that does not hold on to the batch it came in.
      newest = { id, letter: { ...letter, payload: new Uint8Array(letter.payload) }, partition, offset }
    }
    if (firstOffset + records.length >= high) break
  }
  signal.throwIfAborted()
  return newest
}
