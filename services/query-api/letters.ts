import Type, { type Static } from 'typebox'
import { KEPT_PAYLOAD_BYTES, recordToDeadLetter, type DeadLetter } from '../../shared/dead-letter.ts'
import { ERRORS, SluiceError } from '../../shared/errors.ts'
import type { TelemetryLog } from '../../shared/log/port.ts'
import { formatInstant, type LogRecord } from '../../shared/telemetry.ts'
import { parseDeviceKey } from '../../shared/topics.ts'
import { LetterReader, readWindow, WINDOW } from './letter-reader.ts'

/** A reading that was not stored, or a client or message that was turned away, as people see it. */
export const LetterView = Type.Object({
  id: Type.String({ description: 'The same for every repetition from one source.' }),
  stage: Type.Enum(['connect', 'publish', 'decode', 'store', 'clock']),
  code: Type.String(),
  detail: Type.String(),
  fix: Type.String(),
  who: Type.String(),
  topic: Type.Union([Type.String(), Type.Null()]),
  time: Type.String({ format: 'date-time', description: 'Time of the first failure.' }),
  receivedAt: Type.String({ format: 'date-time' }),
  source: Type.Union([
    Type.Object({ partition: Type.Integer(), offset: Type.Integer(), element: Type.Integer() }),
    Type.Null(),
  ]),
  payload: Type.Optional(Type.String({ description: 'The first 4 KiB, if they are UTF-8.' })),
  payloadBase64: Type.Optional(Type.String({ description: 'The first 4 KiB, if they are not UTF-8.' })),
  payloadBytes: Type.Integer({ description: 'Length of the payload that was kept.' }),
})
export type LetterView = Static<typeof LetterView>

/** A dead letter and where in `telemetry.dead-letter` it lies. */
export interface FoundLetter {
  readonly letter: DeadLetter
  readonly partition: number
  readonly offset: number
}

/** What of the dead letters is asked for. */
export interface LetterFilter {
  readonly tenant?: string | undefined
  readonly device?: string | undefined
  readonly code?: string | undefined
}

/** Per partition the first offset that is not wanted any more. */
export type LetterCursor = ReadonlyMap<number, number>

/** Letters looked at for one answer: what a filter that matches little may cost. */
const MAX_SCANNED = 20_000

/**
 * The newest dead letters, newest first, and the cursor that continues behind them (undefined at the end). Of the
 * repeats of one source only the newest counts. An answer may be shorter than `limit` where the bound of one scan ended it.
 */
export async function newestLetters(
  log: TelemetryLog,
  query: { filter: LetterFilter; limit: number; cursor?: LetterCursor | undefined },
): Promise<{ letters: FoundLetter[]; next: LetterCursor | undefined }> {
  const offsets = await log.offsets('telemetry.dead-letter')
  const seen = new Set<string>()
  const readers: LetterReader[] = []
  for (const { partition, start, end } of offsets) {
    const from = Math.min(query.cursor?.get(partition) ?? end, end)
    // Repeats lie above their first copies: those of letters on this page may have been on an earlier one.
    await noteSources(log, partition, from, Math.min(end, from + MAX_SCANNED), seen)
    readers.push(new LetterReader(log, partition, start, from))
  }
  const letters: FoundLetter[] = []
  for (let scanned = 0; scanned < MAX_SCANNED && letters.length < query.limit; scanned += 1) {
    const found = await takeNewest(readers)
    if (found === 'end') return { letters, next: undefined }
    if (found === undefined || !isNew(found.letter, seen) || !letterMatches(query.filter, found.letter)) continue
    letters.push(found)
  }
  const left = await Promise.all(readers.map((reader) => reader.peek()))
  const next = new Map(readers.map((reader) => [reader.partition, reader.position]))
  return { letters, next: left.every((entry) => entry === undefined) ? undefined : next }
}

export function letterMatches({ tenant, device, code }: LetterFilter, letter: DeadLetter): boolean {
  if (code !== undefined && letter.code !== code) return false
  if (tenant === undefined && device === undefined) return true
  const owner = parseDeviceKey(letter.key) ?? parseDeviceKey(letter.who)
  if (owner === undefined) return false
  return (tenant === undefined || owner.tenant === tenant) && (device === undefined || owner.device === device)
}

export function viewLetter({ letter, partition, offset }: FoundLetter): LetterView {
  const { source, payload } = letter
  return {
    id: sourceId(letter) ?? `refused/${partition}/${offset}`,
    stage: letter.stage,
    code: letter.code,
    detail: letter.detail,
    fix: ERRORS[letter.code].fix,
    who: letter.who,
    topic: letter.topic ?? null,
    time: formatInstant({ ms: letter.firstFailedMs, ns: 0 }),
    receivedAt: formatInstant(letter),
    source: source === undefined ? null : { ...source },
    ...viewPayload(payload),
  }
}

/** Text for the next request. */
export function writeCursor(cursor: LetterCursor): string {
  return Buffer.from(JSON.stringify([...cursor])).toString('base64url')
}

/** Inverse of {@link writeCursor}. Error: `cursor_invalid`. */
export function readCursor(text: string): LetterCursor {
  const invalid = (cause?: unknown) =>
    new SluiceError('cursor_invalid', 'The cursor does not belong to this list.', { cause })
  let entries: unknown
  try {
    entries = JSON.parse(Buffer.from(text, 'base64url').toString())
  } catch (error) {
    throw invalid(error)
  }
  if (!Array.isArray(entries)) throw invalid()
  const pairs = entries.map((entry: unknown): [number, number] => {
    const [partition, offset] = Array.isArray(entry) ? (entry as unknown[]) : []
    if (!isIndex(partition) || !isIndex(offset)) throw invalid()
    return [partition, offset]
  })
  return new Map(pairs)
}

function isIndex(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function viewPayload(payload: Uint8Array): Pick<LetterView, 'payload' | 'payloadBase64' | 'payloadBytes'> {
  const payloadBytes = payload.byteLength
  const shown = payload.subarray(0, KEPT_PAYLOAD_BYTES)
  try {
    // As a stream, a character that the cut went through is left out instead of being an error.
    const stream = shown.length < payloadBytes || payloadBytes === KEPT_PAYLOAD_BYTES
    return {
      payload: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(shown, { stream }),
      payloadBytes,
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    return { payloadBase64: Buffer.from(shown).toString('base64'), payloadBytes }
  }
}

/** Undefined for what was refused before the log. */
function sourceId({ source, log }: DeadLetter): string | undefined {
  if (source === undefined) return undefined
  const id = `${source.partition}/${source.offset}/${source.element}`
  return log === undefined ? id : `${log}/${id}`
}

function isNew(letter: DeadLetter, seen: Set<string>): boolean {
  const id = sourceId(letter)
  if (id === undefined) return true
  if (seen.has(id)) return false
  seen.add(id)
  return true
}

/** The newest entry of all partitions: a letter, undefined for a record that is none, `end` when all are read. */
async function takeNewest(readers: readonly LetterReader[]): Promise<FoundLetter | undefined | 'end'> {
  let newest: { reader: LetterReader; record: LogRecord } | undefined
  for (const reader of readers) {
    const record = await reader.peek()
    if (record !== undefined && (newest === undefined || failedMs(record) > failedMs(newest.record))) {
      newest = { reader, record }
    }
  }
  if (newest === undefined) return 'end'
  const offset = newest.reader.take()
  const letter = recordToDeadLetter(newest.record)
  return letter === undefined ? undefined : { letter, partition: newest.reader.partition, offset }
}

function failedMs(record: LogRecord): number {
  return Number(record.headers?.['failed'] ?? record.ms)
}

async function noteSources(
  log: TelemetryLog,
  partition: number,
  from: number,
  to: number,
  seen: Set<string>,
): Promise<void> {
  for (let low = from; low < to; low += WINDOW) {
    for (const { record } of await readWindow(log, partition, low, Math.min(to, low + WINDOW))) {
      const letter = recordToDeadLetter(record)
      if (letter !== undefined) isNew(letter, seen)
    }
  }
}
