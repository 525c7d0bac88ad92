import { HttpError } from '@influxdata/influxdb-client'
import { SluiceError } from '../../errors.ts'

/** InfluxDB minds what is in a request: 400 and 422 of a write, and of a proxy in front of it 413. */
export class InfluxRefusal extends Error {
  readonly status: number

  constructor(status: number, reason: string) {
    super(reason)
    this.name = 'InfluxRefusal'
    this.status = status
  }
}

/** Codes of InfluxDB's error answers that speak of what was sent; a 400 of anybody else says nothing about points. */
const ABOUT_CONTENT: ReadonlySet<string | undefined> = new Set(['invalid', 'unprocessable entity'])

/** What is worth trying again unchanged although it is no 5xx: request timeout, too early, too many requests. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429])

/**
 * What went wrong with a request, by the class of who must act: `store_unavailable` (nobody; with what the server asks
 * to be waited), `store_unauthorised` and `store_misconfigured` (the operator), or a refusal of the content.
 */
export function toStoreError(error: unknown, what: string): SluiceError | InfluxRefusal {
  if (error instanceof SluiceError || error instanceof InfluxRefusal) return error
  if (error instanceof HttpError) return ofStatus(error, what)
  return new SluiceError('store_unavailable', `${what}: ${reasonOf(error)}`, { cause: error })
}

function ofStatus(error: HttpError, what: string): SluiceError | InfluxRefusal {
  const { statusCode: status, message } = error
  const text = `${what}: InfluxDB answered ${status}: ${message}`
  if (status === 401 || status === 403) return new SluiceError('store_unauthorised', text, { cause: error })
  if (status >= 500 || PASSING.has(status)) {
    const retryAfterMs = retryAfter(error.headers?.['retry-after'])
    return new SluiceError('store_unavailable', text, { cause: error, retryAfterMs })
  }
  if (status === 413) return new InfluxRefusal(status, message)
  if ((status === 400 || status === 422) && ABOUT_CONTENT.has(error.code)) return new InfluxRefusal(status, message)
  return new SluiceError('store_misconfigured', text, { cause: error })
}

/**
 * Seconds, or a date (RFC 9110, 10.2.3). The client takes the number for milliseconds, so its own reading is not used.
 */
export function retryAfter(header: string | readonly string[] | undefined): number | undefined {
  const text = typeof header === 'string' ? header.trim() : header?.[0]?.trim()
  if (text === undefined || text === '') return undefined
  if (/^\d+$/.test(text)) return Number(text) * 1000
  const date = Date.parse(text)
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now())
}

/** A refused connection to a name with several addresses is an AggregateError without a message. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name
  return error.message === '' ? code : error.message
}
