import { SluiceError } from '../../errors.ts'
import type { PointBatch } from '../../telemetry.ts'
import { checkPoints } from '../check.ts'
import type { RejectedPoint } from '../port.ts'
import { InfluxRefusal } from './answers.ts'
import type { InfluxConnection } from './connection.ts'
import type { InfluxMetrics } from './metrics.ts'
import { LineWriter } from './lines.ts'

/** Points of one request: beyond 5,000 lines a request only takes longer (measured). */
const MAX_REQUEST_POINTS = 5000

/** Characters of values in one request, so that long texts do not make it huge. */
const MAX_REQUEST_CHARACTERS = 4 * 1024 * 1024

/** What a point adds to a request besides a text; only for dividing by size. */
const CHARACTERS_PER_POINT = 40

export interface WriterOptions {
  readonly connection: InfluxConnection
  readonly org: string
  readonly bucket: string
  readonly metrics: InfluxMetrics
}

/** Writes points, one request after the other, each awaited. */
export class InfluxWriter {
  readonly #connection: InfluxConnection
  readonly #path: string
  readonly #metrics: InfluxMetrics
  readonly #lines = new LineWriter()

  constructor({ connection, org, bucket, metrics }: WriterOptions) {
    this.#connection = connection
    this.#path = `/api/v2/write?${new URLSearchParams({ org, bucket, precision: 'ns' }).toString()}`
    this.#metrics = metrics
  }

  /** Resolves when all points are stored but the rejected ones. `keepMs`: the bucket refuses what is older. */
  async write(batch: PointBatch, keepMs: number | undefined): Promise<RejectedPoint[]> {
    const { good, rejected } = checkPoints(batch)
    const indexes: number[] = []
    const oldest = keepMs === undefined ? 0 : Date.now() - keepMs
    const check = (index: number): void => {
      const series = batch.series[index]
      const ms = batch.ms[index] ?? 0
      const problem = series === undefined ? undefined : this.#lines.problem(series)
      if (problem !== undefined) rejected.push({ index, error: problem })
      else if (ms < oldest) rejected.push({ index, error: tooOld(ms) })
      else indexes.push(index)
    }
    if (good === undefined) for (let index = 0; index < batch.series.length; index++) check(index)
    else good.forEach(check)
    for (const part of requests(batch, indexes)) rejected.push(...(await this.#writePart(batch, part)))
    return rejected.sort((a, b) => a.index - b.index)
  }

  /** Writes lines that are not points of anybody. */
  async writeLine(line: string): Promise<void> {
    try {
      await this.#send(line)
    } catch (error) {
      if (!(error instanceof InfluxRefusal)) throw error
      throw new SluiceError('internal', `InfluxDB rejects ${JSON.stringify(line)}: ${error.message}`, { cause: error })
    }
  }

  /**
   * A refused request is divided until what InfluxDB minds is alone. What it took of the whole is written again with a
   * half, which changes nothing; the halves go in order, so that the later of two points still wins.
   */
  async #writePart(batch: PointBatch, indexes: readonly number[]): Promise<RejectedPoint[]> {
    try {
      await this.#send(this.#lines.write(batch, indexes))
      return []
    } catch (error) {
      if (!(error instanceof InfluxRefusal)) throw error
      const [only = 0] = indexes
      if (indexes.length === 1) return [{ index: only, error: toRejection(error) }]
      const middle = error.status === 413 ? middleBySize(batch, indexes) : Math.ceil(indexes.length / 2)
      const first = await this.#writePart(batch, indexes.slice(0, middle))
      return [...first, ...(await this.#writePart(batch, indexes.slice(middle)))]
    }
  }

  async #send(lines: string): Promise<void> {
    this.#metrics.requestBytes.observe(lines.length)
    await this.#connection.send({
      what: 'write',
      method: 'POST',
      path: this.#path,
      body: lines,
      contentType: 'text/plain; charset=utf-8',
    })
  }
}

/** Runs of points that fit into a request each. */
function* requests(batch: PointBatch, indexes: readonly number[]): Generator<readonly number[]> {
  let from = 0
  let size = 0
  for (let at = 0; at < indexes.length; at++) {
    size += sizeOf(batch, indexes[at] ?? 0)
    if (at + 1 - from < MAX_REQUEST_POINTS && size < MAX_REQUEST_CHARACTERS) continue
    yield indexes.slice(from, at + 1)
    from = at + 1
    size = 0
  }
  if (from < indexes.length) yield indexes.slice(from)
}

/** Where to divide so that both halves are about as large; at least one point on each side. */
export function middleBySize(batch: PointBatch, indexes: readonly number[]): number {
  const half = indexes.reduce((sum, index) => sum + sizeOf(batch, index), 0) / 2
  let size = 0
  let middle = 0
  while (middle < indexes.length - 1 && size < half) size += sizeOf(batch, indexes[middle++] ?? 0)
  return Math.max(1, middle)
}

function sizeOf({ values }: PointBatch, index: number): number {
  const value = values[index]
  return CHARACTERS_PER_POINT + (typeof value === 'string' ? value.length : 0)
}

function toRejection({ status, message }: InfluxRefusal): SluiceError {
  if (status === 413) return new SluiceError('payload_too_large', `too large for the point store: ${message}`)
  // The server has no code of its own for this.
  const code = message.includes('field type conflict') ? 'type_conflict' : 'store_rejected'
  return new SluiceError(code, message)
}

function tooOld(ms: number): SluiceError {
  const time = new Date(ms).toISOString()
  return new SluiceError('store_rejected', `${time} is older than the retention of the bucket`)
}
