/**
 * Nanoseconds per point to see overwrites, beside those to decode the point, on the same records in one run:
 *   node load-tests/bench/overwrites.ts
 * Devices take turns and send five fields each. `ordinary`: their times increase. `late`: every second message is an hour
 * older than the newest. `overwriting`: every second message has the time of the one before, and other values.
 */
import { parseArgs } from 'node:util'
import { RecentValues } from '../../services/ingest-worker/recent-values.ts'
import type { Slice } from '../../services/ingest-worker/slice.ts'
import { Taken } from '../../services/ingest-worker/taken.ts'
import { decodeRecords, SeriesTable } from '../../shared/decoders/decode.ts'
import type { LogRecord } from '../../shared/telemetry.ts'

const { values: options } = parseArgs({ options: { rounds: { type: 'string', default: '2000' } } })
const rounds = Number(options.rounds)

const RECORDS = 200
const START = 1_769_860_800_000
const HOUR_MS = 3_600_000

/** Of the n-th message of a device. */
const times: Readonly<Record<string, (n: number) => number>> = {
  ordinary: (n) => START + n * 1000,
  late: (n) => START + n * 1000 - (n % 2) * HOUR_MS,
  overwriting: (n) => START + (n - (n % 2)) * 1000,
}

const nothing = { inc: () => undefined, set: () => undefined }
const metrics = { overwritten: nothing, rememberedTimes: nothing }
const progress = {
  ...{ log: 'bench', partition: 0, end: 0, isNew: false },
  ...{ storedMs: undefined, taken: new Taken(), note: undefined, stored: 0, committed: 0, revoked: false },
}

/** Of ten short rounds nearly the best: the others were disturbed by what else the machine does. */
function firstTenth(values: readonly number[]): string {
  const low = values.toSorted((a, b) => a - b)[Math.floor(values.length / 10)] ?? Number.NaN
  return low.toFixed(1).padStart(9)
}

console.log(`${'ns per point'.padEnd(14)} devices     decode   to see it`)
for (const [name, timeOf] of Object.entries(times)) {
  for (const devices of [1, 1000, 20_000]) {
    const table = new SeriesTable()
    const recent = new RecentValues({ metrics: metrics as never })
    const decoding: number[] = []
    const looking: number[] = []
    for (let round = 0; round < rounds; round++) {
      const records = Array.from({ length: RECORDS }, (_, i): LogRecord => {
        const n = round * RECORDS + i
        const ts = timeOf(Math.floor(n / devices))
        const text = `{"ts":${ts},"temperature":${20 + (n % 700) / 100},"humidity":${40 + (n % 50)},"pressure":1013.${n % 100},"ok":${n % 2 === 0},"n":${n}}`
        return { key: `demo/device-${n % devices}`, value: Buffer.from(text), ms: ts, ns: 0, headers: undefined }
      })
      const began = performance.now()
      const decoded = decodeRecords(records, table)
      const decodedAt = performance.now()
      const slice: Slice = { progress, firstOffset: round * RECORDS, records, decoded }
      recent.look({ slice, ...decoded })
      const points = decoded.record.length
      // The first rounds warm up, and meet the series for the first time.
      if (round < rounds / 2) continue
      decoding.push(((decodedAt - began) * 1e6) / points)
      looking.push(((performance.now() - decodedAt) * 1e6) / points)
    }
    console.log(`${name.padEnd(14)} ${String(devices).padStart(7)}  ${firstTenth(decoding)}   ${firstTenth(looking)}`)
  }
}
