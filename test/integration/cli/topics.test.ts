import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { tempFolder } from '../../helpers.ts'
import { ok, runAgainst, startFakeService } from './fake-service.ts'

const VERDICT = { points: [], pointCount: 0, nulls: 0, faults: [], faultCount: 0, warnings: [] }

async function test(args: readonly string[], answer: object) {
  const service = await startFakeService({ answer: () => ok({ notes: [], refusal: null, ...VERDICT, ...answer }) })
  const outcome = await runAgainst(service.url, ['topics', 'test', ...args])
  return { ...outcome, body: service.requests[0]?.body }
}

it('shows points, what is refused and what is doubtful', async () => {
  const point = {
    element: 1,
    device: 'a',
    stream: 'room',
    field: 'word',
    kind: 'text',
    time: 'then',
    value: '\u001b[2J',
  }
  const fault = { element: 0, path: 'b', code: 'list_left_out', detail: 'a list' }
  const { code, stdout, body } = await test(['t/x', '{"a":1}', '--as', 'demo/a'], {
    ...{ who: 'demo/a', end: 'telemetry', points: [point, { ...point, element: 0, value: 7, kind: 'number' }] },
    ...{ pointCount: 5, nulls: 2, faults: [fault], faultCount: 2, notes: ['The login is disabled.'] },
    warnings: [{ ...fault, path: null, code: 'time_without_zone', detail: 'no zone' }],
  })
  expect(body).toEqual({ topic: 't/x', payloadBase64: Buffer.from('{"a":1}').toString('base64'), as: 'demo/a' })
  expect(code).toBe(1)
  const lines = stdout.split('\n')
  expect(lines.slice(0, 5)).toEqual([
    'Telemetry of demo/a:',
    '5 points, 2 null fields, 2 refused',
    '  a room [1] word="\\u001b[2J" (text) at then',
    '  a room word=7 (number) at then',
    '  and 3 more',
  ])
  expect(lines[5]).toMatch(/^ {2}refused: b: list_left_out: a list\. /)
  expect(lines[6]).toBe('  and 1 more')
  expect(lines[7]).toMatch(/^ {2}doubtful: time_without_zone: no zone\. /)
  expect(lines[8]).toBe('The login is disabled.')
})

it('reads a payload from a file, and ends with 0 when all is stored', async () => {
  const file = join(tempFolder(), 'payload')
  writeFileSync(file, Buffer.from([0xff, 0]))
  const { code, body } = await test(['t/x', `@${file}`], { who: 'a', end: 'telemetry', pointCount: 1 })
  expect([code, body]).toEqual([0, { topic: 't/x', payloadBase64: '/wA=' }])
  const none = await test(['t/x', `@${file}.none`], {})
  expect(none).toMatchObject({ code: 1, body: undefined, stderr: expect.stringContaining('cannot read') as string })
})

it('says why a message is refused, and when it is none for the log', async () => {
  const refusal = { code: 'not_authorised', detail: 'no rule allows it' }
  const refused = await test(['t/x', '1'], { who: 'demo/a', end: 'refused', refusal })
  expect(refused.code).toBe(1)
  expect(refused.stdout).toMatch(/^Refused of demo\/a: not_authorised: no rule allows it\. .+\n$/)
  const other = await test(['t/x', '1'], { who: 'demo/a', end: 'messages' })
  expect([other.code, other.stdout]).toEqual([0, expect.stringContaining('is not stored')])
})
