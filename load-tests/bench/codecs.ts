/**
 * Microseconds per message of a codec in JavaScript, with all that a worker does for it: its thread, the memory of the engine
 * put back before each message, and its answer decoded as JSON.
 *   node load-tests/bench/codecs.ts
 * Six values in 11 bytes, in batches of one message and of a thousand; the best round of each counts: what else the
 * machine does only adds to the others.
 */
import { parseArgs } from 'node:util'
import { openCodecs } from '../../shared/codecs/uploaded-codecs.ts'
import { decodeRecords, SeriesTable } from '../../shared/decoders/decode.ts'
import { learn } from '../../shared/decoders/learn.ts'
import { idOf, type PolicyDocument } from '../../shared/policies/document.ts'
import { formatRevision, REVISION_HEADER } from '../../shared/policies/revision.ts'
import { idOfDefinition, type DecoderDefinition } from '../../shared/registry/decoders-port.ts'
import type { LogRecord } from '../../shared/telemetry.ts'

const { values: options } = parseArgs({ options: { rounds: { type: 'string', default: '20' } } })
const rounds = Number(options.rounds)

const definition: DecoderDefinition = {
  kind: 'codec',
  content: `function decodeUplink({ bytes }) {
    var at = 0
    var next = function () { return (bytes[at++] << 8) | bytes[at++] }
    return { data: { temperature: next() / 100, humidity: next() / 10, pressure: next() / 10, battery: next(), n: next(),
      open: bytes[at] === 1 } }
  }`,
  options: {},
}
const id = idOfDefinition(definition)
const policy: PolicyDocument = { decoder: `codec:bench@${id}` }
const headers = { topic: 't/demo/one/telemetry', [REVISION_HEADER]: formatRevision(idOf(policy), '') ?? '' }
const decodedBy = {
  policies: { find: async (ids: readonly string[]) => new Map(ids.map((one) => [one, policy])) },
  decoders: { find: async () => new Map([[id, definition]]) },
}

const { uploaded, close } = openCodecs({ onPut: () => () => undefined })
const table = new SeriesTable({ uploaded })
console.log('messages of a batch  us per message')
for (const size of [1, 1000]) {
  let best = Infinity
  for (let round = -2; round < rounds; round++) {
    // New ones each time: what a codec made of a record is kept with it.
    const records = Array.from({ length: size }, (_, n): LogRecord => {
      const value = Buffer.of(8, n & 255, 1, 244, 39, 148, 14, 16, n >> 8, n & 255, 1)
      return { key: 'demo/one', value, ms: 1_769_860_800_000 + n, ns: 0, scheme: 1, headers }
    })
    const started = performance.now()
    await learn(table, records, decodedBy)
    const { points } = decodeRecords(records, table)
    if (points.values.length !== 6 * size) throw new Error(`${points.values.length} points`)
    if (round >= 0) best = Math.min(best, performance.now() - started)
  }
  console.log(`${String(size).padStart(19)}  ${((best * 1000) / size).toFixed(0).padStart(14)}`)
}
await close()
