import type { AddressInfo } from 'node:net'
import type { ApiOptions } from '../../../services/query-api/api.ts'
import { deadLetterToRecord, type DeadLetter } from '../../../shared/dead-letter.ts'
import type { LogRecord } from '../../../shared/telemetry.ts'
import { openApi } from './api.ts'
import { openEvents } from './event-reader.ts'

const MS = 1_767_225_600_000

export function record(payload: string, overrides: Partial<LogRecord> = {}): LogRecord {
  return { key: 'demo/first', value: Buffer.from(payload), ms: MS, ns: 0, headers: undefined, ...overrides }
}

export function refusal(n: number, key = 'demo/first'): LogRecord {
  const letter: DeadLetter = {
    stage: 'publish',
    code: 'not_authorised',
    detail: `number ${n}`,
    who: key,
    topic: 't/x/y/telemetry',
    key,
    payload: Buffer.from('x'),
    ms: MS + n,
    ns: 0,
    source: undefined,
    firstFailedMs: MS + n,
    attempts: 1,
  }
  return deadLetterToRecord(letter)
}

/** A listening API, and readers of its live view. */
export async function openLive(overrides: Partial<ApiOptions> = {}) {
  const api = await openApi(overrides)
  await api.app.listen({ host: '127.0.0.1', port: 0 })
  const port = (api.app.server.address() as AddressInfo).port
  const events = (query = '') => openEvents(`http://127.0.0.1:${port}/v1/stream${query}`, api.token)
  return { ...api, port, events }
}
