import { isErrorCode, type ErrorCode } from './errors.ts'
import { faultOfRecord, Faults, type Fault } from './faults.ts'
import { isReplay } from './record.ts'
import type { LogRecord, StampScheme } from './telemetry.ts'

/**
 * Where on its way a message or record ended; `clock`: a warning of a process whose clock was wrong; `log`: records that
 * were gone before they were read.
 */
export type DeadLetterStage = 'connect' | 'publish' | 'decode' | 'store' | 'clock' | 'log'

/**
 * What a letter is: `fault`, of a record of the log of which something could not be stored; `refusal`, of a client or
 * message that was turned away before the log; `warning`, of something that people should know, where nothing is missing
 * that could be sent again.
 */
export type LetterKind = 'fault' | 'refusal' | 'warning'

const KINDS: Readonly<Record<DeadLetterStage, LetterKind>> = {
  connect: 'refusal',
  publish: 'refusal',
  decode: 'fault',
  store: 'fault',
  clock: 'warning',
  log: 'warning',
}

export const DEAD_LETTER_STAGES = Object.keys(KINDS) as DeadLetterStage[]
export const LETTER_KINDS: readonly LetterKind[] = ['fault', 'refusal', 'warning']

/**
 * What is kept of a record of which something could not be stored, or of a client or message that was turned away.
 * In the log it is a record of `telemetry.dead-letter`: the original key, bytes and receive time, the rest in headers.
 */
export interface DeadLetter {
  /** What `stage` implies, unless given. */
  readonly kind?: LetterKind
  readonly stage: DeadLetterStage
  /** Of the first fault. */
  readonly code: ErrorCode
  /** What exactly was wrong, for a person; at most 500 characters. Of the first fault. */
  readonly detail: string
  /** What was refused of a record, field by field; undefined for all that is no record, and in old letters. */
  readonly faults?: Faults | undefined
  /** The login, or what an unknown client called itself, or its address. */
  readonly who: string
  /** Topic as published; undefined for a refused login. */
  readonly topic: string | undefined
  /**
   * The original record: key, payload, headers and receive time. Refused messages: the first 4 KiB; old letters: only the
   * reading that was refused.
   */
  readonly key: string
  readonly payload: Uint8Array
  readonly headers?: LogRecord['headers']
  readonly ms: number
  readonly ns: number
  readonly scheme?: StampScheme | undefined
  /** The record was too large for a letter: the payload is its first 4 KiB. */
  readonly isCut?: boolean
  /**
   * Which record; a repeat after a restart has the same source. Undefined before the log. `element` is that of an old
   * letter: there was one for each reading.
   */
  readonly source: { readonly partition: number; readonly offset: number; readonly element?: number } | undefined
  /** Which log `source` lies in; undefined in old letters of the log that they lie in themselves. */
  readonly log?: string
  readonly firstFailedMs: number
  readonly attempts: number
}

/** Bytes of a refused message that are kept. */
export const KEPT_PAYLOAD_BYTES = 4096

/** What a dead letter may take on top of its record. */
export const LETTER_ROOM_BYTES = 64 * 1024

const MAX_DETAIL = 500
/** Of the faults as JSON, so that with the other headers they stay below {@link LETTER_ROOM_BYTES}. */
const MAX_FAULTS_BYTES = 40 * 1024

export function kindOf(letter: DeadLetter): LetterKind {
  return letter.kind ?? KINDS[letter.stage]
}

/** All that was wrong; at least one. */
export function faultsOf({ faults, code, detail, source }: DeadLetter): Faults {
  if (faults !== undefined) return faults
  const fault = faultOfRecord(code, detail)
  return Faults.of([source?.element === undefined ? fault : { ...fault, element: source.element }])
}

/**
 * Whether the letter holds the whole record, as it was received: what is refused of a replay is told once more, and tried
 * again from the first letter.
 */
export function isReplayable(letter: DeadLetter): boolean {
  const isWhole = letter.faults !== undefined && letter.isCut !== true
  return kindOf(letter) === 'fault' && isWhole && !isReplay(letter)
}

export function deadLetterToRecord(letter: DeadLetter): LogRecord {
  const headers: Record<string, string> = {
    kind: kindOf(letter),
    stage: letter.stage,
    code: letter.code,
    detail: letter.detail.slice(0, MAX_DETAIL),
    who: letter.who,
    failed: String(letter.firstFailedMs),
    attempts: String(letter.attempts),
  }
  if (letter.log !== undefined) headers['log'] = letter.log
  if (letter.topic !== undefined) headers['topic'] = letter.topic
  if (letter.faults !== undefined) {
    headers['faults'] = writeFaults(letter.faults)
    headers['counts'] = JSON.stringify(Object.fromEntries(letter.faults.counts))
  }
  if (letter.headers !== undefined) headers['headers'] = JSON.stringify(letter.headers)
  if (letter.isCut === true) headers['cut'] = '1'
  if (letter.source !== undefined) {
    // A process that runs the version before knows a letter by its reading.
    const element = letter.source.element ?? letter.faults?.first[0]?.element ?? 0
    headers['source'] = `${letter.source.partition}/${letter.source.offset}/${element}`
  }
  return { key: letter.key, value: letter.payload, ms: letter.ms, ns: letter.ns, scheme: letter.scheme, headers }
}

/** Inverse of {@link deadLetterToRecord}; undefined for a record that is not a dead letter of ours. */
export function recordToDeadLetter(record: LogRecord): DeadLetter | undefined {
  const headers = record.headers
  const code = headers?.['code']
  if (headers === undefined || code === undefined || !isErrorCode(code)) return undefined
  const kind = LETTER_KINDS.find((one) => one === headers['kind'])
  const faults = readFaults(headers['faults'], headers['counts'])
  const original = parse(headers['headers']) as Record<string, string> | undefined
  return {
    ...(kind === undefined ? {} : { kind }),
    stage: DEAD_LETTER_STAGES.find((stage) => stage === headers['stage']) ?? 'decode',
    code,
    detail: headers['detail'] ?? '',
    ...(faults === undefined ? {} : { faults }),
    who: headers['who'] ?? '',
    topic: headers['topic'],
    key: record.key,
    payload: record.value,
    ...(original === undefined ? {} : { headers: original }),
    ms: record.ms,
    ns: record.ns,
    scheme: record.scheme,
    ...(headers['cut'] === undefined ? {} : { isCut: true }),
    source: parseSource(headers['source'], faults !== undefined),
    ...(headers['log'] === undefined ? {} : { log: headers['log'] }),
    firstFailedMs: Number(headers['failed'] ?? record.ms),
    attempts: Number(headers['attempts'] ?? 1),
  }
}

function writeFaults({ first }: Faults): string {
  const written: string[] = []
  let bytes = 2
  for (const { element, path, code, detail } of first) {
    const text = JSON.stringify({ element, path, code, detail: detail.slice(0, MAX_DETAIL) })
    bytes += Buffer.byteLength(text) + 1
    // What does not fit is only counted, as what is behind the first hundred.
    if (bytes > MAX_FAULTS_BYTES && written.length > 0) break
    written.push(text)
  }
  return `[${written.join(',')}]`
}

/** Undefined for old letters. A code that is not known here was given by a newer Sluice, and is passed over. */
function readFaults(faults: string | undefined, counts: string | undefined): Faults | undefined {
  const list = parse(faults)
  if (!Array.isArray(list)) return undefined
  const first = (list as Fault[]).filter(({ code }) => isErrorCode(code))
  const known = Object.entries((parse(counts) ?? {}) as Record<string, number>)
  return Faults.of(
    first,
    known.flatMap(([code, count]): [ErrorCode, number][] => (isErrorCode(code) ? [[code, Number(count)]] : [])),
  )
}

/** Headers that are no JSON are none of ours. */
function parse(text: string | undefined): unknown {
  if (text === undefined) return undefined
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function parseSource(text: string | undefined, isOfRecord: boolean): DeadLetter['source'] {
  if (text === undefined) return undefined
  const [partition, offset, element] = text.split('/').map(Number)
  if (partition === undefined || offset === undefined || element === undefined) return undefined
  return isOfRecord ? { partition, offset } : { partition, offset, element }
}
