import { createInterface } from 'node:readline'
import { openSqliteLog } from '../../../shared/log/sqlite/open.ts'
import { SluiceError } from '../../../shared/errors.ts'
import { createLogger } from '../../../shared/process/logger.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import type { LogRecord } from '../../../shared/telemetry.ts'
import { earlyAppend } from '../../variants/early-append.ts'

/**
 * A process that appends to the embedded log in folder argv[2], told line by line on stdin:
 *
 *     append <name> <records> <bytes>   answers `acked <name>` or `failed <name> <code>`; values begin with `<name>/<i>:`
 *     commit <offset>                   for group "worker"; answers `committed` or `failed commit <code>`
 *     close                             answers `closed` and ends
 *
 * Begins with `ready`, or `failed open <code>`. argv[3] bounds the bytes of the topic ("none": nothing does); argv[4]
 * "early" wraps the log in the variant that acknowledges early; argv[5] bounds the age of records in ms.
 */
const [folder = '', bytes, variant, ageMs] = process.argv.slice(2)

function boundOf(text: string | undefined): number | undefined {
  return text === undefined || text === 'none' ? undefined : Number(text)
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

function codeOf(error: unknown): string {
  return error instanceof SluiceError ? error.code : String(error)
}

try {
  const opened = await openSqliteLog({
    folder,
    partitions: 1,
    retention: { bytes: boundOf(bytes), ageMs: boundOf(ageMs) },
    logger: createLogger('silent'),
    metrics: createMetrics({ defaults: false }),
  })
  const log = variant === 'early' ? earlyAppend(opened) : opened
  const consumer = await log.consume({
    topic: 'telemetry.raw',
    group: 'worker',
    maxRecords: 1000,
    onBatch: async () => {},
    onError: (error) => say(`failed consumer ${error.code}`),
  })
  say('ready')

  const input = createInterface({ input: process.stdin })
  input.on('close', () => process.exit(1)) // whoever started it is gone
  input.on('line', (line) => {
    const [verb, name = '', records = '1', bytes = '10'] = line.split(' ')
    if (verb === 'append') {
      const batch: LogRecord[] = Array.from({ length: Number(records) }, (_, i) => {
        const value = Buffer.from(`${name}/${i}:`.padEnd(Number(bytes), '.'))
        return { key: `acme/device-${i % 7}`, value, ms: Date.now(), ns: i, headers: undefined }
      })
      log.append('telemetry.raw', batch).then(
        () => say(`acked ${name}`),
        (error: unknown) => say(`failed ${name} ${codeOf(error)}`),
      )
    } else if (verb === 'commit') {
      consumer.commit([{ partition: 0, offset: Number(name) }]).then(
        () => say('committed'),
        (error: unknown) => say(`failed commit ${codeOf(error)}`),
      )
    } else if (verb === 'close') {
      void log.close().then(() => {
        say('closed')
        process.exit(0)
      })
    }
  })
} catch (error) {
  say(`failed open ${codeOf(error)}`)
}
