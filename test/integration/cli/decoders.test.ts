import { expect, it } from 'vitest'
import { ok, runAgainst, startFakeService } from './fake-service.ts'

const VERDICT = { points: [], pointCount: 0, nulls: 0, faults: [], faultCount: 0, warnings: [] }

it('asks what a payload becomes by a decoder and settings, and fails where not all would be stored', async () => {
  const fault = { element: null, path: null, code: 'payload_not_as_declared', detail: 'cbor expected: \u001b' }
  const service = await startFakeService({ answer: () => ok({ ...VERDICT, faults: [fault], faultCount: 1 }) })
  const args = ['decoders', 'test', 'cbor', 'a1', '--policy', 'encoding=hex', 'csv_columns=a,b', '--stream', 'room']
  const { code, stdout } = await runAgainst(service.url, args)
  expect(service.requests[0]?.body).toEqual({
    decoder: 'cbor',
    payloadBase64: Buffer.from('a1').toString('base64'),
    stream: 'room',
    settings: { encoding: 'hex', csv_columns: ['a', 'b'] },
  })
  expect([code, stdout]).toEqual([1, expect.stringContaining('payload_not_as_declared: cbor expected: \\x1b')])
})
