import { setImmediate as nextTurn } from 'node:timers/promises'
import { decodeRecords, SeriesTable } from '../../../shared/decoders/decode.ts'
import { type Fault } from '../../../shared/faults.ts'
import { RecordsTooLarge } from '../../../shared/log/port.ts'
import { headersOf, headersOfSeveral, keyOfLogin, LINES_HEADER } from '../../../shared/record.ts'
import type { Principal } from '../../../shared/registry/port.ts'
import { reservedLines } from '../../../shared/stamps/reservation.ts'
import type { LogRecord } from '../../../shared/telemetry.ts'
import { DEFAULT_STREAM, deviceKey, formatTelemetryTopic } from '../../../shared/topics.ts'
import type { ApiParts } from '../api.ts'
import { requireOfWorkers } from '../features.ts'
import type { createPacer } from '../reading-rates.ts'
import type { RefusedReadings } from '../refused-readings.ts'
import { chunksOf } from './line-chunks.ts'

/** Series kept between two bodies that are to be checked. */
const MAX_SERIES = 20_000
/** Of records in one append. */
const APPEND_BYTES = 1024 * 1024
/** How long it holds that all workers read the records. */
const READ_BY_ALL_MS = 10_000
/** A text may have 16 KiB, and a line several. */
const LARGEST_LINE = 256 * 1024

type Parts = ApiParts<'registry' | 'log' | 'stamp' | 'workers'>

/** How posts are let in and refused, shared with readings that are posted otherwise. */
export interface Doorway {
  readonly takeAtRate: ReturnType<typeof createPacer>
  readonly refused: RefusedReadings
}

/** Lines that a login posted. */
export interface LinePost {
  readonly principal: Principal
  readonly tenant: string
  /** Of the times, see `LINE_UNITS`. */
  readonly unit: string
  readonly body: Buffer
}

/** What of a body cannot be stored. */
export interface LineVerdict {
  readonly faults: number
  readonly first: Fault | undefined
}

/** Brings bodies of line protocol into the log, as records that begin and end where lines do. */
export class LinePosts {
  readonly #parts: Parts
  readonly #doorway: Doorway
  readonly #table = new SeriesTable({ maxSeries: MAX_SERIES })
  #readByAllMs = -READ_BY_ALL_MS

  constructor(parts: Parts, doorway: Doorway) {
    this.#parts = parts
    this.#doorway = doorway
  }

  /**
   * Resolves when all of the body is durable in the log, in its order, with the records. A line that is too large for one is a
   * letter, and alone missing. Errors: `rate_limited` before anything was appended, `feature_missing`, and those of the log, after
   * which the beginning of the body may be in it: the same body posted again changes nothing of what has times.
   */
  async append(post: LinePost): Promise<{ readonly records: LogRecord[]; readonly refused: number }> {
    await this.#readByAll()
    const parts = await partsOf(post.body)
    this.#doorway.takeAtRate(post.principal, post.body.length, parts.length)
    const { key, headers, topic } = this.#addressOf(post)
    const records: LogRecord[] = []
    let refused = 0
    const refuse = (payload: Uint8Array) => {
      const detail = `a line of ${payload.length} bytes is larger than a record may be`
      this.#doorway.refused.keep({ who: post.principal.name, topic, key, payload, code: 'payload_too_large', detail })
      refused += 1
    }
    for (const value of parts) {
      if (value.length > LARGEST_LINE) refuse(value)
      else records.push({ key, value, ...this.#parts.stamp(reservedLines(value)), headers })
    }
    for (const portion of portionsOf(records)) {
      for (const { value } of await this.#append(portion)) refuse(value)
    }
    return { records, refused }
  }

  /** What the decoder will refuse of records, looked at one by one, with turns of others in between. */
  async check(records: readonly LogRecord[], principal: Principal, tenant: string): Promise<LineVerdict> {
    const { registry } = this.#parts
    const table = this.#table
    let faults = 0
    let first: Fault | undefined
    for (const record of records) {
      await table.policies.learn([record], (ids) => registry.policies.find(ids))
      const decoded = decodeRecords([record], table)
      const found = decoded.faults.get(0)
      faults += found?.total ?? 0
      first ??= found?.first[0]
      for (const { device, points } of decoded.others) {
        if (registry.names.isKnown(tenant, device) || (await this.#makesDevices(principal))) continue
        faults += points.series.length
        first ??= {
          element: null,
          path: null,
          code: 'device_unknown',
          detail: `there is no device ${JSON.stringify(device)}`,
        }
      }
      await nextTurn()
    }
    return { faults, first }
  }

  async #makesDevices({ kind, name }: Principal): Promise<boolean> {
    return kind === 'application' && (await this.#parts.registry.getApplication(name))?.createsDevices === true
  }

  /** Gives those that the log will never take. */
  async #append(records: readonly LogRecord[]): Promise<ReadonlySet<LogRecord>> {
    try {
      await this.#parts.log.append('telemetry.raw', records)
      return new Set()
    } catch (error) {
      if (error instanceof RecordsTooLarge) return error.records
      throw error
    }
  }

  #addressOf({ principal, tenant, unit }: LinePost) {
    const { policies } = this.#parts.registry
    const lines = { [LINES_HEADER]: unit }
    if (principal.kind === 'application') {
      const topic = `t/${tenant}/telemetry`
      const headers = { ...headersOfSeveral(tenant, topic, policies, principal.name), ...lines }
      return { key: keyOfLogin(tenant, principal.name), topic, headers }
    }
    const names = { tenant, device: principal.device, stream: DEFAULT_STREAM }
    const topic = formatTelemetryTopic(names)
    const headers = { ...headersOf(names, principal.uid, topic, policies), ...lines }
    return { key: deviceKey(tenant, principal.uid), topic, headers }
  }

  async #readByAll(): Promise<void> {
    if (performance.now() - this.#readByAllMs < READ_BY_ALL_MS) return
    await requireOfWorkers(this.#parts, 'lines-1')
    this.#readByAllMs = performance.now()
  }
}

async function partsOf(body: Buffer): Promise<Buffer[]> {
  const parts: Buffer[] = []
  for (const part of chunksOf(body)) {
    parts.push(part)
    // Where there are quotes it takes a millisecond.
    await nextTurn()
  }
  return parts
}

function* portionsOf(records: readonly LogRecord[]): Generator<LogRecord[]> {
  let portion: LogRecord[] = []
  let bytes = 0
  for (const record of records) {
    portion.push(record)
    bytes += record.value.byteLength
    if (bytes < APPEND_BYTES) continue
    yield portion
    portion = []
    bytes = 0
  }
  if (portion.length > 0) yield portion
}
