import { expect, it } from 'vitest'
import { ok, runAgainst, startFakeService } from './fake-service.ts'

async function run(args: readonly string[], answers: readonly object[]) {
  let asked = 0
  const answer = () => ok(answers[Math.min(asked++, answers.length - 1)] ?? {})
  const service = await startFakeService({ answer })
  const outcome = await runAgainst(service.url, ['trace', 'demo/a', ...args])
  return { ...outcome, requests: service.requests }
}

const point = { element: 0, stream: 'telemetry', field: 'v', kind: 'number', time: 'T', value: 1 }
const message = (offset: number, ends: Record<string, number>, more: object = {}) => {
  const [end = ''] = Object.keys(ends)
  const points = end === 'fault' ? [] : [{ ...point, end }]
  const rest = { topic: null, headers: {}, payloadBytes: 7, points, faults: [], warnings: [], letter: null }
  return { receivedAt: `2026-01-01T00:00:0${offset}Z`, offset, ends, ...rest, ...more }
}
const answer = (messages: readonly object[], position: number, more: object = {}) => {
  return { partition: 1, committed: 0, messages, refusals: [], position, isEnd: true, ...more }
}

it('tells what is odd before what is stored, and what to do', async () => {
  const fault = { element: 2, path: 'w', code: 'value_unsupported', detail: 'it is NaN' }
  const superseded = { ...point, field: 'x', stream: 'power', end: 'superseded', inPlace: 5 }
  const odd = { points: [{ ...point, end: 'stored' }, superseded], faults: [fault], headers: { qos: '2' } }
  const refusal = { id: 'r', receivedAt: '2026-01-01T00:00:00Z', stage: 'connect', topic: null, code: 'login_failed' }
  const all = answer([message(1, { stored: 1, superseded: 1, fault: 1 }, odd)], 2, {
    refusals: [{ ...refusal, detail: 'no such login\u202e' }],
  })
  const { code, stdout } = await run([], [all])
  expect(code).toBe(0)
  expect(stdout.split('\n')).toEqual([
    expect.stringMatching(/^2026-01-01T00:00:00Z connection refused: login_failed: no such login\\u\{202e\}\. \S/),
    '2026-01-01T00:00:01Z offset 1 qos=2: 1 stored, 1 superseded, 1 fault',
    '  power x=1 at T: superseded, which has 5 now',
    '  v=1 at T: stored',
    expect.stringMatching(/^ {2}\[2\] w: value_unsupported: it is NaN\. \S/),
    '',
  ])
})

it('goes through all answers, up to the limit', async () => {
  const pages = [answer([message(1, { stored: 1 })], 5, { isEnd: false }), answer([message(7, { stored: 1 })], 8)]
  const { stdout, requests } = await run(['--since', '1h', '--limit', '2', '--json'], pages)
  const offsets = stdout.trim().split('\n')
  expect(offsets.map((line) => (JSON.parse(line) as { message: { offset: number } }).message.offset)).toEqual([1, 7])
  expect(requests.map(({ path, query }) => [path, query.get('after'), query.get('limit')])).toEqual([
    ['/v1/devices/demo/a/trace', null, '2'],
    ['/v1/devices/demo/a/trace', '5', '1'],
  ])
  expect(requests.map(({ query }) => query.get('partition'))).toEqual([null, '1'])
  const since = Date.now() - Number(requests[0]?.query.get('from'))
  expect(Math.round(since / 3_600_000)).toBe(1)
})

it('following shows each message once, in its order, when it has its end', async () => {
  const refusals = [
    { id: 'r', receivedAt: '2026-01-01T00:00:00Z', stage: 'publish', topic: 't', code: 'x', detail: 'd' },
  ]
  const first = message(1, { stored: 1 })
  const waits = answer([first, message(2, { waiting: 1 }), message(3, { stored: 1 })], 4, { refusals })
  const ended = answer([message(2, { stored: 1 }), message(3, { stored: 1 })], 4, { refusals })
  const { stdout, requests } = await run(['--follow', '--limit', '3'], [waits, ended])
  expect(stdout.match(/offset \d|refused/g)).toEqual(['refused', 'offset 1', 'offset 2', 'offset 3'])
  expect(requests.map(({ query }) => query.get('after'))).toEqual([null, '2'])
  // Letters of long ago are not looked for each second.
  const [since = 0, then = 0] = requests.map(({ query }) => Number(query.get('from')))
  expect(then - since).toBeGreaterThan(500_000)
})

it('says when there is nothing', async () => {
  const { code, stdout, stderr } = await run([], [answer([], 0)])
  expect([code, stdout]).toEqual([0, ''])
  expect(stderr).toContain('nothing was received from demo/a')
})
