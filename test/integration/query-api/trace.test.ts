import fc from 'fast-check'
import { expect, it } from 'vitest'
import { deadLetterToRecord } from '../../../shared/dead-letter.ts'
import { formatInstant } from '../../../shared/telemetry.ts'
import { lasting } from '../../long.ts'
import { PATIENCE } from '../../patience.ts'
import { openReal } from './real-api.ts'
import { make, publish, SECOND, send, settled, trace, traceAll } from './traces.ts'

const slot = fc.integer({ min: 0, max: 3 })
/** Of one message: numbers at one of four times, states of whole seconds, and what is no reading. */
const sent = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('number' as const), slot, value: fc.integer({ min: 0, max: 2 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('state' as const), slot, value: fc.integer({ min: 0, max: 2 }) }),
  },
  { weight: 1, arbitrary: fc.constantFrom({ kind: 'no time' as const }, { kind: 'ahead' as const }) },
)

type Sent = typeof sent extends fc.Arbitrary<infer T> ? T : never

function payloadOf(one: Sent): object {
  switch (one.kind) {
    case 'number':
      return { ts: SECOND + one.slot * 10 + 1, v: one.value, w: one.value }
    case 'state':
      return { ts: SECOND + one.slot * 1000, s: `state ${one.value}` }
    case 'no time':
      return { ts: 'yesterday', v: 1 }
    case 'ahead':
      return { ts: Date.now() + 400 * 86_400_000, v: 1 }
  }
}

/** What is told of each message: its points with their ends, and its faults. */
function modelOf(list: readonly Sent[]): unknown[] {
  const last = new Map<number, number>()
  for (const one of list) if (one.kind === 'number') last.set(one.slot, one.value)
  // Which values of a second are kept is known of the newest second alone.
  const late = new Set<number>()
  let newest = 0
  for (const one of list) {
    if (one.kind !== 'state') continue
    if (one.slot < newest) late.add(one.slot)
    newest = Math.max(newest, one.slot)
  }
  const said = new Set<string>()
  return list.map((one) => {
    if (one.kind === 'ahead') return { points: [], faults: [{ code: 'time_ahead' }], ends: { fault: 1 } }
    if (one.kind === 'no time') return { points: [], faults: [{ code: 'time_invalid' }], ends: { fault: 1 } }
    if (one.kind === 'state') {
      const end = late.has(one.slot) ? /^(stored|merged|superseded)$/ : /^(stored|merged)$/
      return { points: [{ field: 's', end: expect.stringMatching(end) as string }] }
    }
    const key = `${one.slot} ${one.value}`
    const inPlace = last.get(one.slot)
    const end = inPlace !== one.value ? 'superseded' : said.has(key) ? 'merged' : 'stored'
    said.add(key)
    const point = end === 'superseded' ? { end, inPlace } : { end }
    return { points: ['v', 'w'].map((field) => ({ field, ...point })), faults: [], ends: { [end]: 2 } }
  })
}

it('tells of every message what became of it, as a model does', async () => {
  const real = await openReal()
  let round = 0
  await fc.assert(
    fc.asyncProperty(fc.array(sent, { minLength: 1, maxLength: 30 }), async (list) => {
      const device = `d${round++}`
      await make(real, device)
      await publish(real, device, list.map(payloadOf))
      await settled(real)
      const { messages } = await trace(real, device)
      expect(messages).toHaveLength(list.length)
      expect(messages).toMatchObject(modelOf(list))
      for (const { letter, faults } of messages) if (faults.length > 0) expect(letter).not.toBeNull()
    }),
    { numRuns: lasting({ gate: 12, long: 200 }) },
  )
})

it('goes on where an answer ended, and misses nothing', async () => {
  const real = await openReal()
  for (const device of ['a', 'b']) await make(real, device)
  const values = Array.from({ length: 25 }, (_, v) => v)
  for (const v of values) for (const device of ['a', 'b']) await publish(real, device, [{ v }])
  await settled(real)
  for (const limit of [1, 7, 25, 26]) {
    const payloads = (await traceAll(real, 'a', limit)).map(({ payload }) => payload)
    expect(payloads).toEqual(values.map((v) => JSON.stringify({ v })))
  }
})

it('tells what waits, what was deleted, and what is refused of a message whose rest is stored', async () => {
  const real = await openReal(undefined, { isIdle: true })
  await make(real, 'a')
  await make(real, 'b')
  await send(real, 'a', { ts: SECOND, v: 1 })
  await send(real, 'b', { ts: SECOND, v: 9 })
  await send(real, 'a', [
    { ts: SECOND + 1, v: 2 },
    { ts: 'noon', v: 3 },
  ])
  const endsOf = async () => (await trace(real, 'a')).messages.map(({ ends }) => ends)
  expect(await endsOf()).toEqual([{ waiting: 1 }, { waiting: 1, fault: 1 }])
  await real.startWorker()
  await settled(real)
  expect(await endsOf()).toEqual([{ stored: 1 }, { stored: 1, fault: 1 }])
  const { messages } = await trace(real, 'a')
  expect(messages[1]?.faults).toEqual([expect.objectContaining({ element: 1, path: null, code: 'time_invalid' })])
  const span = { from: formatInstant({ ms: SECOND, ns: 0 }), to: formatInstant({ ms: SECOND + 1, ns: 0 }) }
  await real.call('POST', '/v1/devices/demo/a/readings/delete', { payload: span })
  await expect.poll(endsOf, PATIENCE).toEqual([{ deleted: 1 }, { stored: 1, fault: 1 }])
})

it('tells states of one second where they are', async () => {
  const real = await openReal()
  await make(real, 'a')
  for (const s of ['on', 'off']) await send(real, 'a', { ts: SECOND, s })
  await settled(real)
  const { messages } = await trace(real, 'a')
  expect(messages.map(({ points }) => points)).toMatchObject([
    [{ value: 'on', end: 'stored' }],
    [{ value: 'off', end: 'stored', storedAt: formatInstant({ ms: SECOND, ns: 1 }) }],
  ])
})

it('tells why nothing came of a device that nobody made', async () => {
  const real = await openReal()
  const letter = {
    stage: 'connect',
    code: 'login_failed',
    detail: 'no such login',
    who: 'demo/nobody',
    topic: undefined,
  } as const
  const at = { ms: Date.now(), ns: 0, firstFailedMs: Date.now(), attempts: 1 }
  const record = deadLetterToRecord({
    ...letter,
    ...at,
    key: 'demo/nobody',
    payload: new Uint8Array(),
    source: undefined,
  })
  await real.log.append('telemetry.dead-letter', [record])
  expect(await trace(real, 'nobody')).toMatchObject({ messages: [], refusals: [{ code: 'login_failed' }], isEnd: true })
  expect(await trace(real, 'somebody')).toMatchObject({ messages: [], refusals: [] })
})

it('begins where it is told to, and asks for a span that is one', async () => {
  const real = await openReal()
  await make(real, 'a')
  for (const v of [1, 2, 3]) await send(real, 'a', { v })
  await settled(real)
  const [first] = (await trace(real, 'a')).messages
  expect((await trace(real, 'a', `after=${(first?.offset ?? 0) + 1}`)).messages).toHaveLength(2)
  expect((await trace(real, 'a', 'to=2020-01-01T00:00:00Z&from=2019-01-01T00:00:00Z')).messages).toEqual([])
  const wrong = await real.call('GET', '/v1/devices/demo/a/trace?from=2020-01-02T00:00:00Z&to=2020-01-01T00:00:00Z')
  expect(wrong.body).toMatchObject({ code: 'bad_request' })
})
