import { randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import { SluiceError } from '../../../shared/errors.ts'
import { createLogger } from '../../../shared/process/logger.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import type { PointStore } from '../../../shared/points/port.ts'
import { openSqlitePoints } from '../../../shared/points/sqlite/open.ts'
import type { PointBatch, Series } from '../../../shared/telemetry.ts'
import { earlyPoints } from '../../variants/wrong-points.ts'

/**
 * A process that writes to the embedded points in folder argv[2], sealing from argv[3] points on, told line by line:
 *
 *     write <n> <points>   writes the value n to `points` points of slot n modulo 40; answers `written <n>`
 *     text <n> <bytes>     writes one string of so many random bytes as base64; answers `written <n>`
 *     sync                 answers `synced`
 *     close                answers `closed` and ends
 *
 * Begins with `ready`; anything that fails answers `failed <what> <code>`. argv[4] "early" acknowledges early.
 */
const [folder = '', sealAfterPoints = '1000', variant] = process.argv.slice(2)

const SLOT_MS = 100_000
const fields = ['a', 'b', 'c'].map((field): Series => {
  return { tenant: 'acme', device: 'pump-1', stream: 'telemetry', field, type: 'float' }
})
const text: Series = { tenant: 'acme', device: 'pump-1', stream: 'texts', field: 'text', type: 'string' }

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

function batch(n: number, points: number): PointBatch {
  const series: Series[] = []
  const ms: number[] = []
  for (let i = 0; i < points; i++) {
    series.push(...fields)
    for (const _ of fields) ms.push((n % 40) * SLOT_MS + i)
  }
  return { series, ms, ns: ms.map(() => 0), values: ms.map(() => n) }
}

function answer(what: string, work: Promise<unknown>, done: string): void {
  work.then(
    () => say(done),
    (error: unknown) => say(`failed ${what} ${error instanceof SluiceError ? error.code : String(error)}`),
  )
}

function obey(store: PointStore, line: string): void {
  const [verb = '', n = '0', size = '1'] = line.split(' ')
  if (verb === 'write') answer(n, store.write(batch(Number(n), Number(size))), `written ${n}`)
  else if (verb === 'text') {
    // Random: sealing makes it no smaller.
    const values = [randomBytes(Number(size)).toString('base64')]
    answer(n, store.write({ series: [text], ms: [Number(n)], ns: [0], values }), `written ${n}`)
  } else if (verb === 'sync') answer('sync', store.sync(), 'synced')
  else if (verb === 'close') {
    void store.close().then(() => {
      say('closed')
      process.exit(0)
    })
  }
}

try {
  const logger = createLogger('silent')
  const metrics = createMetrics({ defaults: false })
  const opened = await openSqlitePoints({ folder, logger, metrics, sealAfterPoints: Number(sealAfterPoints) })
  const store = variant === 'early' ? earlyPoints(opened) : opened
  say('ready')
  const input = createInterface({ input: process.stdin })
  input.on('close', () => process.exit(1)) // whoever started it is gone
  input.on('line', (line) => obey(store, line))
} catch (error) {
  say(`failed open ${error instanceof SluiceError ? error.code : String(error)}`)
}
