/**
 * Microseconds per reading to decode the same readings in each format, in one run:
 *   node load-tests/bench/decoders.ts
 * A reading is six values and its time; each payload holds one. The formats take turns, and the
 * best round of each counts: what else the machine does only adds to the others.
 */
import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { parseArgs } from 'node:util'
import { encode as encodeMessagePack } from '@msgpack/msgpack'
import { encode as encodeCbor } from 'cborg'
import { decodeRecords, SeriesTable } from '../../shared/decoders/decode.ts'
import { idOf, type PolicyDocument } from '../../shared/policies/document.ts'
import { formatRevision, REVISION_HEADER } from '../../shared/policies/revision.ts'
import type { LogRecord } from '../../shared/telemetry.ts'

const { values: options } = parseArgs({ options: { rounds: { type: 'string', default: '40' } } })
const rounds = Number(options.rounds)

const RECORDS = 1000
const received = { ms: 1_769_860_800_000, ns: 0 }

const reading = (n: number) => ({
  ts: received.ms + n,
  temperature: 20 + (n % 700) / 100,
  humidity: 40 + (n % 50),
  pressure: 1013 + (n % 100) / 10,
  ok: true,
  n,
  state: 'run',
})
const json = (n: number) => Buffer.from(JSON.stringify(reading(n)))
const cells = (n: number) => Object.values(reading(n)).join(',')
const line = ({ ts, ...fields }: ReturnType<typeof reading>) => {
  const written = Object.entries(fields).map(([key, value]) => `${key}=${JSON.stringify(value)}`)
  return Buffer.from(`telemetry ${written.join(',')} ${ts}`)
}
const columns = Object.keys(reading(0))

interface Format {
  readonly name: string
  readonly policy: PolicyDocument
  readonly payload: (n: number) => Uint8Array
}

const formats: readonly Format[] = [
  { name: 'JSON', policy: {}, payload: json },
  { name: 'JSON, declared', policy: { decoder: 'json' }, payload: json },
  { name: 'line protocol', policy: {}, payload: (n) => line(reading(n)) },
  { name: 'line protocol, declared', policy: { decoder: 'line_protocol' }, payload: (n) => line(reading(n)) },
  { name: 'CBOR', policy: { decoder: 'cbor' }, payload: (n) => encodeCbor(reading(n)) },
  { name: 'MessagePack', policy: { decoder: 'messagepack' }, payload: (n) => encodeMessagePack(reading(n)) },
  {
    name: 'CSV',
    policy: { decoder: 'csv', csv_columns: columns },
    payload: (n) => Buffer.from(cells(n)),
  },
  { name: 'JSON in gzip', policy: {}, payload: (n) => gzipSync(json(n)) },
  { name: 'JSON in zstd', policy: {}, payload: (n) => zstdCompressSync(json(n)) },
  { name: 'JSON in zlib', policy: {}, payload: (n) => deflateSync(json(n)) },
]

async function prepare({ policy, payload }: Format) {
  const rv = formatRevision(idOf(policy), '')
  const headers = rv === undefined ? undefined : { [REVISION_HEADER]: rv }
  const records = Array.from({ length: RECORDS }, (_, n): LogRecord => {
    return { key: `demo/device-${n}`, value: payload(n), ...received, scheme: 1, headers }
  })
  const table = new SeriesTable()
  await table.policies.learn(records, async (ids) => new Map(ids.map((id) => [id, policy])))
  const { readings, points } = decodeRecords(records, table)
  if (readings !== RECORDS || points.values.length !== 6 * RECORDS) throw new Error(`${readings} readings`)
  return { records, table, times: [] as number[] }
}

const prepared = await Promise.all(formats.map(prepare))
for (let round = -rounds; round < rounds; round++) {
  for (const { records, table, times } of prepared) {
    const started = performance.now()
    decodeRecords(records, table)
    // As many rounds before, until the engine has compiled what is hot.
    if (round >= 0) times.push(performance.now() - started)
  }
}
console.log(`${'us per reading'.padEnd(26)}  bytes    best`)
for (const [i, { name }] of formats.entries()) {
  const { records = [], times = [] } = prepared[i] ?? {}
  const bytes = Math.round(records.reduce((sum, { value }) => sum + value.length, 0) / RECORDS)
  const best = Math.min(...times)
  console.log(`${name.padEnd(26)}  ${String(bytes).padStart(5)}  ${(best * (1000 / RECORDS)).toFixed(2).padStart(6)}`)
}
