import { expect, it } from 'vitest'
import { openLive, record, refusal } from './live-api.ts'

const details = (events: readonly { data: Record<string, unknown> }[]) => events.map(({ data }) => data['detail'])

it('shows readings as they are appended, each reading of each shape', async () => {
  const { events, log } = await openLive()
  const reader = await events()
  expect(reader.headers.get('content-type')).toBe('text/event-stream')
  expect(reader.headers.get('cache-control')).toMatch(/no-cache/)
  await log.append('telemetry.raw', [
    record('{"a":1.5,"b":{"c":true}}', { ns: 7 }),
    record('[{"ts":1767225600001,"a":1},{"a":"x"}]', { headers: { topic: 't/demo/first/telemetry/power' } }),
    record('{"constructor":1,"n":null}'),
    record('{"n":9007199254740993}'),
    record('{"n":5}'),
  ])
  const common = { tenant: 'demo', device: 'first', receivedAt: '2026-01-01T00:00:00Z' }
  const seen = await reader.until(({ data }) => JSON.stringify(data['values']) === '{"n":5}')
  expect(seen.map(({ event }) => event)).toEqual(['reading', 'reading', 'reading', 'reading', 'reading', 'reading'])
  expect(seen.map(({ data }) => data)).toEqual<unknown>([
    {
      ...common,
      stream: 'telemetry',
      time: '2026-01-01T00:00:00.000000007Z',
      receivedAt: '2026-01-01T00:00:00.000000007Z',
      values: { a: 1.5, 'b.c': true },
    },
    { ...common, stream: 'power', time: '2026-01-01T00:00:00.001Z', values: { a: 1 } },
    { ...common, stream: 'power', time: '2026-01-01T00:00:00.000000001Z', values: { a: 'x' } },
    { ...common, stream: 'telemetry', time: '2026-01-01T00:00:00Z', values: { constructor: 1 } },
    { ...common, stream: 'telemetry', time: '2026-01-01T00:00:00Z', values: { n: '9007199254740993' } },
    { ...common, stream: 'telemetry', time: '2026-01-01T00:00:00Z', values: { n: 5 } },
  ])
})

it('says which readings and warnings were received by a clock that was not known to be right', async () => {
  const { events, log } = await openLive()
  const reader = await events()
  await log.append('telemetry.raw', [
    record('{"a":3}', { scheme: 1 }),
    record('{"a":1}', { scheme: 2 }),
    record('{"ts":5,"a":2}', { scheme: 2 }),
  ])
  // Warnings come behind the readings that were read with theirs.
  const seen = await reader.until(({ event }) => event === 'warning')
  expect(seen.map(({ event, data }) => [event, data['clock']])).toEqual([
    ...[
      ['reading', undefined],
      ['reading', 'unsynchronised'],
      ['reading', 'unsynchronised'],
      ['warning', 'unsynchronised'],
    ],
  ])
})

it('begins with the newest 20 refusals in order, and goes on without a gap or a repeat', async () => {
  const { events, log } = await openLive()
  await log.append(
    'telemetry.dead-letter',
    Array.from({ length: 30 }, (_, i) => refusal(i)),
  )
  const first = await events()
  await log.append('telemetry.dead-letter', [refusal(30)])
  const second = await events()
  await log.append('telemetry.dead-letter', [refusal(31)])
  const last = ({ data }: { data: Record<string, unknown> }) => data['detail'] === 'number 31'
  const numbers = (from: number) => Array.from({ length: 32 - from }, (_, i) => `number ${from + i}`)
  expect(details(await first.until(last))).toEqual(numbers(10))
  expect(details(await second.until(last))).toEqual(numbers(11))
})

it('a refusal appended while the past is being read comes once, after the past', async () => {
  const { events, log } = await openLive()
  const watching = await events()
  await log.append('telemetry.dead-letter', [refusal(0), refusal(1)])
  await watching.until(({ data }) => data['detail'] === 'number 1')
  const offsets = log.offsets.bind(log)
  log.offsets = async (topic) => {
    log.offsets = offsets
    await log.append('telemetry.dead-letter', [refusal(2)])
    await watching.until(({ data }) => data['detail'] === 'number 2')
    return offsets(topic)
  }
  const reader = await events()
  await log.append('telemetry.dead-letter', [refusal(3)])
  const seen = await reader.until(({ data }) => data['detail'] === 'number 3')
  expect(details(seen)).toEqual(['number 0', 'number 1', 'number 2', 'number 3'])
})

it('filters by tenant and device, readings and refusals', async () => {
  const { events, log } = await openLive()
  await log.append('telemetry.dead-letter', [refusal(1), refusal(2, 'demo/second'), refusal(3, 'other/first')])
  const device = await events('?tenant=demo&device=first')
  const tenant = await events('?tenant=demo')
  await log.append('telemetry.raw', [
    record('{"n":1}'),
    record('{"n":2}', { key: 'demo/second' }),
    record('{"n":3}', { key: 'other/first' }),
    record('{"n":4}'),
  ])
  const last = ({ data }: { data: Record<string, unknown> }) => JSON.stringify(data['values']) === '{"n":4}'
  const shown = ({ data }: { data: Record<string, unknown> }) => data['detail'] ?? data['values']
  expect((await device.until(last)).map(shown)).toEqual(['number 1', { n: 1 }, { n: 4 }])
  expect((await tenant.until(last)).map(shown)).toEqual(['number 1', 'number 2', { n: 1 }, { n: 2 }, { n: 4 }])
})

it('warns of a suspect clock in the form of a refusal', async () => {
  const { events, log } = await openLive()
  const reader = await events()
  await log.append('telemetry.raw', [record('[{"a":1},{"ts":5,"a":1}]')])
  expect((await reader.next()).event).toBe('reading')
  expect((await reader.next()).event).toBe('reading')
  expect(await reader.next()).toMatchObject({
    event: 'warning',
    data: {
      code: 'clock_not_set',
      who: 'demo/first',
      topic: 't/demo/first/telemetry',
      kind: 'warning',
      replayable: false,
      faults: [{ element: 1, path: null, code: 'clock_not_set' }],
      payload: '[{"a":1},{"ts":5,"a":1}]',
      id: 'warning/telemetry.raw/0/0/1',
      source: { log: 'telemetry.raw', partition: 0, offset: 0 },
    },
  })
})
