import { isErrorCode, type ErrorCode } from './errors.ts'
import type { LogRecord, StampScheme } from './telemetry.ts'

/** Where on its way a message or reading ended; `clock`: a warning of a process whose clock was wrong. */
export type DeadLetterStage = 'connect' | 'publish' | 'decode' | 'store' | 'clock'

const STAGES: readonly DeadLetterStage[] = ['connect', 'publish', 'decode', 'store', 'clock']

/**
 * What is kept of a reading that could not be stored, or of a client or message that was turned away.
 * In the log it is a record of `telemetry.dead-letter`: the original key, bytes and receive time, the rest in headers.
 */
export interface DeadLetter {
  readonly stage: DeadLetterStage
  readonly code: ErrorCode
  /** What exactly was wrong, for a person; at most 500 characters. */
  readonly detail: string
  /** The login, or what an unknown client called itself, or its address. */
  readonly who: string
  /** Topic as published; undefined for a refused login. */
  readonly topic: string | undefined
  /** The original record: key, payload bytes (refused messages: the first 4 KiB) and receive time. */
  readonly key: string
  readonly payload: Uint8Array
  readonly ms: number
  readonly ns: number
  readonly scheme?: StampScheme | undefined
  /** Which reading of which record; a repeat after a restart has the same source. Undefined before the log. */
  readonly source: { readonly partition: number; readonly offset: number; readonly element: number } | undefined
  /** Names the log that `source` lies in, of a letter that was moved here from another one. */
  readonly log?: string
  readonly firstFailedMs: number
  readonly attempts: number
}

/** Bytes of a refused message that are kept. */
export const KEPT_PAYLOAD_BYTES = 4096

const MAX_DETAIL = 500

export function deadLetterToRecord(letter: DeadLetter): LogRecord {
  const headers: Record<string, string> = {
    stage: letter.stage,
    code: letter.code,
    detail: letter.detail.slice(0, MAX_DETAIL),
    who: letter.who,
    failed: String(letter.firstFailedMs),
    attempts: String(letter.attempts),
  }
  if (letter.log !== undefined) headers['log'] = letter.log
  if (letter.topic !== undefined) headers['topic'] = letter.topic
  if (letter.source !== undefined) {
    headers['source'] = `${letter.source.partition}/${letter.source.offset}/${letter.source.element}`
  }
  return { key: letter.key, value: letter.payload, ms: letter.ms, ns: letter.ns, scheme: letter.scheme, headers }
}

/** Inverse of {@link deadLetterToRecord}; undefined for a record that is not a dead letter of ours. */
export function recordToDeadLetter(record: LogRecord): DeadLetter | undefined {
  const headers = record.headers
  const code = headers?.['code']
  if (headers === undefined || code === undefined || !isErrorCode(code)) return undefined
  return {
    stage: stageOf(headers['stage']),
    code,
    detail: headers['detail'] ?? '',
    who: headers['who'] ?? '',
    topic: headers['topic'],
    key: record.key,
    payload: record.value,
    ms: record.ms,
    ns: record.ns,
    scheme: record.scheme,
    source: parseSource(headers['source']),
    ...(headers['log'] === undefined ? {} : { log: headers['log'] }),
    firstFailedMs: Number(headers['failed'] ?? record.ms),
    attempts: Number(headers['attempts'] ?? 1),
  }
}

function stageOf(text: string | undefined): DeadLetterStage {
  return STAGES.find((stage) => stage === text) ?? 'decode'
}

function parseSource(text: string | undefined): DeadLetter['source'] {
  if (text === undefined) return undefined
  const [partition, offset, element] = text.split('/').map(Number)
  if (partition === undefined || offset === undefined || element === undefined) return undefined
  return { partition, offset, element }
}
