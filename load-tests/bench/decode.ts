/**
 * Microseconds per reading to decode, one pass over the bytes against JSON.parse, in one run on the same payloads:
 *   node load-tests/bench/decode.ts
 * `production` is all that the worker does per reading; `JSON.parse alone` only makes objects of the text and looks at
 * every value; `JSON.parse checked` is the reference of the tests, which keeps the same promises with JSON.parse.
 */
import { parseArgs } from 'node:util'
import { decodeRecords, SeriesTable } from '../../shared/decoders/decode.ts'
import type { LogRecord } from '../../shared/telemetry.ts'
import { referenceDecode } from '../reference/json-decode.ts'

const { values: options } = parseArgs({ options: { rounds: { type: 'string', default: '40' } } })
const rounds = Number(options.rounds)

const RECORDS = 2000
const received = { ms: 1_769_860_800_000, ns: 0 }

type Payload = (n: number) => string

const payloads: Readonly<Record<string, Payload>> = {
  'flat, 5 fields and ts': (n) =>
    `{"ts":${received.ms + n},"temperature":${(20 + (n % 700) / 100).toFixed(2)},"humidity":${40 + (n % 50)},` +
    `"pressure":1013.${n % 100},"ok":true,"n":${n}}`,
  'one value': (n) => `{"temperature":${(20 + (n % 700) / 100).toFixed(2)}}`,
  'RFC 3339, envelope, nested': (n) =>
    `{"ts":"2026-01-31T12:00:${String(n % 60).padStart(2, '0')}.123Z","values":{"motor":{"speed":${n},"state":"run"}}}`,
  'seventeen digits': (n) =>
    `{"ts":1769860800.123456789,"lat":52.${12345678901234 + n}1,"lon":13.${23456789012345 + n}2}`,
  'array of 10': (n) =>
    `[${Array.from({ length: 10 }, (_, i) => `{"ts":${received.ms + n + i},"temperature":21.5,"humidity":45}`).join(',')}]`,
}

function microseconds(
  records: readonly LogRecord[],
  readings: number,
  decode: (all: readonly LogRecord[]) => void,
): string {
  // As many again before, until the engine has compiled what is hot.
  for (let warm = 0; warm < rounds; warm++) decode(records)
  const times = Array.from({ length: rounds }, () => {
    const started = performance.now()
    decode(records)
    return performance.now() - started
  })
  const median = times.toSorted((a, b) => a - b)[times.length >> 1] ?? Number.NaN
  return ((median * 1000) / readings).toFixed(2).padStart(8)
}

let sink = 0

function parseAlone(records: readonly LogRecord[]): void {
  for (const { value } of records) {
    const parsed = JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.length).toString()) as object
    for (const one of Object.values(parsed)) sink += typeof one === 'number' ? 1 : 2
  }
}

console.log(`${'us per reading'.padEnd(30)}   bytes  production  JSON.parse alone  JSON.parse checked`)
for (const [name, payload] of Object.entries(payloads)) {
  const records = Array.from({ length: RECORDS }, (_, n): LogRecord => {
    return { key: `demo/device-${n % 1000}`, value: Buffer.from(payload(n)), ...received, headers: undefined }
  })
  const table = new SeriesTable()
  const { readings, faults } = decodeRecords(records, table)
  for (const { first } of faults.values()) throw new Error(`${name}: ${first[0]?.code}`)
  const bytes = Math.round(records.reduce((sum, { value }) => sum + value.length, 0) / readings)
  const production = microseconds(records, readings, (all) => void decodeRecords(all, table))
  const alone = microseconds(records, readings, parseAlone)
  const checked = microseconds(records, readings, (all) => {
    for (const { value } of all) referenceDecode(value, received)
  })
  console.log(
    `${name.padEnd(30)} ${String(bytes).padStart(7)}  ${production}  ${alone.padStart(16)}  ${checked.padStart(18)}`,
  )
}
if (sink === 0) throw new Error('nothing was parsed')
