import { describe, expect, it, vi } from 'vitest'
import { faultsOf } from '../../../../shared/dead-letter.ts'
import { decodeLatest, latestKey } from '../../../../shared/latest-state.ts'
import { counter, World } from './harness.ts'
import { PATIENCE } from '../../../patience.ts'

const T = 1_769_860_800_000

describe('every field ends as a point or as a fault', () => {
  it('stores the good ones and keeps the record, the source and the reasons of the bad ones', async () => {
    const world = new World()
    await world.publish([
      { ts: T, a: 1 },
      '{"a":',
      ` [ {"ts":${T + 1},"a":2} , {"a":[[1]]} , {"ts":${T + 2},"a":3,"b\\ud800":4,"c":{"d":1e999}} ] `,
      '',
    ])
    const { options, readings } = await world.work()
    await world.settled()
    expect([...world.points.visible]).toEqual([
      [`demo/first/telemetry/a/float@${T}.0`, 1],
      [`demo/first/telemetry/a/float@${T + 1}.0`, 2],
      [`demo/first/telemetry/a/float@${T + 2}.0`, 3],
    ])
    const letters = world.deadLetters()
    expect(letters.map(({ code, source, stage }) => ({ code, source, stage }))).toEqual([
      { code: 'payload_not_json', stage: 'decode', source: { partition: 0, offset: 1 } },
      { code: 'list_left_out', stage: 'decode', source: { partition: 0, offset: 2 } },
      { code: 'payload_empty', stage: 'decode', source: { partition: 0, offset: 3 } },
    ])
    expect(
      letters.map((letter) => faultsOf(letter).first.map(({ element, path, code }) => [element, path, code])),
    ).toEqual([
      [[null, null, 'payload_not_json']],
      [
        [1, 'a', 'list_left_out'],
        [2, 'b\ud800', 'field_name_invalid'],
        [2, 'c.d', 'value_out_of_range'],
      ],
      [[null, null, 'payload_empty']],
    ])
    const sent = world.log.records['telemetry.raw'].flat()
    expect(letters.map(({ key, payload, ms, ns }) => ({ key, value: Buffer.from(payload), ms, ns }))).toEqual(
      sent.slice(1).map(({ key, value, ms, ns }) => ({ key, value, ms, ns })),
    )
    expect(letters[1]).toMatchObject({
      who: 'demo/first',
      key: 'demo/first',
      topic: 't/demo/first/telemetry',
      ms: T + 2,
    })
    expect(await counter(options, 'readings_total')).toBe(3)
    expect(readings()).toBe(3)
    expect(await counter(options, 'points_total')).toBe(3)
    expect(await counter(options, 'faults_total')).toBe(5)
    expect(await counter(options, 'dead_letters_total')).toBe(3)
  })

  it('keeps the order of the log: of two values for one time the later wins, over batches and writes', async () => {
    const world = new World(3)
    const keys = ['demo/a', 'demo/bb', 'demo/ccc']
    for (const key of keys)
      await world.publish(
        Array.from({ length: 100 }, (_, n) => ({ ts: T + (n % 7), n })),
        key,
      )
    await world.work({}, { INGEST_BATCH_RECORDS: '9', INGEST_WRITE_POINTS: '20' })
    await world.settled()
    for (const key of keys) {
      const values = Array.from({ length: 7 }, (_, i) =>
        world.points.visible.get(`${key}/telemetry/n/float@${T + i}.0`),
      )
      expect(values).toEqual([98, 99, 93, 94, 95, 96, 97])
    }
  })

  it('reads the stream from the topic', async () => {
    const world = new World()
    await world.publish([{ ts: T, a: 1 }], 'demo/first', 't/demo/first/telemetry/motor')
    await world.publish([{ ts: T, a: 1 }], 'demo/first', 't/other/device/telemetry/motor')
    await world.work()
    await world.settled()
    expect([...world.points.visible.keys()]).toEqual([`demo/first/motor/a/float@${T}.0`])
    expect(world.deadLetters()).toMatchObject([{ code: 'topic_unknown', topic: 't/other/device/telemetry/motor' }])
  })
})

describe('field types', () => {
  it('pinned integer: whole numbers are exact, and others are beside them', async () => {
    const world = new World()
    world.registry.types.set('demo/telemetry/n', 'integer')
    const numbers = ['5', '-0', '9007199254740993', '9007199254740992', '1e3', '5.5', '1e300', '9223372036854775807']
    await world.publish(numbers.map((number, i) => `{"ts":${T + i},"n":${number},"x":${i}}`))
    await world.work()
    await world.settled()
    const stored = [...world.points.visible]
      .filter(([id]) => id.includes('/n/'))
      .map(([id, value]) => [id.split('/')[4], value])
    expect(stored).toEqual([
      [`integer@${T}.0`, 5],
      [`integer@${T + 1}.0`, 0],
      [`integer@${T + 2}.0`, 9_007_199_254_740_993n],
      [`integer@${T + 3}.0`, 9_007_199_254_740_992n],
      [`integer@${T + 4}.0`, 1000],
      [`float@${T + 5}.0`, 5.5],
      [`float@${T + 6}.0`, 1e300],
      [`integer@${T + 7}.0`, 9_223_372_036_854_775_807n],
    ])
    expect(world.deadLetters()).toEqual([])
  })

  it('floats are the nearest of an integer that none is, with its digits beside it', async () => {
    const world = new World()
    await world.publish([
      { ts: T, n: 1 },
      `{"ts":${T + 1},"n":9007199254740993}`,
      `{"ts":${T + 2},"n":9007199254740992}`,
    ])
    await world.work()
    await world.settled()
    expect([...world.points.visible]).toEqual([
      [`demo/first/telemetry/n/float@${T}.0`, 1],
      [`demo/first/telemetry/n/float@${T + 1}.0`, 9_007_199_254_740_992],
      [`demo/first/telemetry/n/string@${T + 1}.0`, '9007199254740993'],
      [`demo/first/telemetry/n/float@${T + 2}.0`, 9_007_199_254_740_992],
    ])
    expect(world.deadLetters()).toEqual([])
  })

  it('the latest value of such an integer is its digits', async () => {
    const world = new World()
    await world.publish([`{"ts":${T},"n":2882429806056571124}`])
    await world.work()
    await world.settled()
    const [state] = await world.registry.readStreams([{ tenant: 'demo', device: 'first', stream: 'telemetry' }])
    expect(state?.fields['n']).toMatchObject({
      type: 'string',
      value: '2882429806056571124',
      lastNumber: { value: 2_882_429_806_056_571_000 },
    })
  })
})

describe('latest state', () => {
  it('is in the cache after the write and in the registry after the checkpoint', async () => {
    const world = new World()
    await world.publish([
      { ts: T, a: 1, b: 'x' },
      { ts: T - 5, a: 2 },
      { ts: T + 3_600_000, a: 9 },
    ])
    await world.work()
    await world.settled()
    const expected = {
      tenant: 'demo',
      device: 'first',
      stream: 'telemetry',
      log: 'memory',
      partition: 0,
      offset: 2,
      lastSeenMs: T + 2,
      fields: {
        a: { time: { ms: T, ns: 0 }, type: 'float', value: 1 },
        b: { time: { ms: T, ns: 0 }, type: 'string', value: 'x' },
      },
    }
    const { kept, clock, firstJson, ...inRegistry } = world.registry.states.get('demo/first/telemetry') ?? {}
    expect(inRegistry).toEqual(expected)
    // What the worker keeps for itself is not for the cache.
    for (const own of [kept, clock]) expect(own).toBeTypeOf('string')
    expect(firstJson).toBe('0/0/memory')
    await vi.waitFor(() => {
      expect(decodeLatest(world.cached.get(latestKey('demo', 'first', 'telemetry')) ?? '')).toEqual(expected)
    }, PATIENCE)
  })

  it('goes on from what the registry has', async () => {
    const world = new World()
    await world.publish([{ ts: T, a: 1, b: 1 }])
    const first = await world.work()
    await world.settled()
    await first.close()
    await world.publish([{ ts: T + 1, a: 2 }])
    await world.work()
    await world.settled()
    expect(world.registry.states.get('demo/first/telemetry')?.fields).toMatchObject({
      a: { value: 2 },
      b: { value: 1 },
    })
  })

  it.each([
    { what: 'made anew', name: 'anew', expected: 'anew' },
    { what: 'restored from a copy, under its old name', name: 'memory', expected: 'memory.1' },
  ])('goes on in a log that was $what, and so do dead letters', async ({ name, expected }) => {
    const world = new World()
    await world.publish([{ ts: T, a: 1 }, { ts: T, a: 2 }, '{no json'])
    const first = await world.work()
    await world.settled()
    await first.close()
    world.log.replace(name)
    await world.publish([{ ts: T + 1, a: 3 }])
    const second = await world.work()
    await world.settled()
    await world.publish(['{no json', { ts: T + 2, a: 4 }])
    await world.settled()
    expect(world.registry.states.get('demo/first/telemetry')).toMatchObject({
      log: expected,
      offset: 2,
      fields: { a: { value: 4 } },
    })
    const letters = world.deadLetters()
    expect(letters.filter(({ stage }) => stage === 'decode')).toMatchObject([
      { source: { offset: 2 } },
      { source: { offset: 1 } },
    ])
    const lost = letters.filter(({ stage }) => stage === 'log')
    expect(lost).toMatchObject([{ code: 'log_replaced', log: 'memory', source: { partition: 0, offset: 2 } }])
    expect(lost[0]?.detail).toMatch(/^an unknown number of records of partition 0, offset 2 on, received after/)
    await second.close()
    // Read again under its old name it is told apart again.
    await world.publish([{ ts: T + 3, a: 5 }])
    await world.work()
    await world.settled()
    expect(world.registry.states.get('demo/first/telemetry')).toMatchObject({ offset: 3, fields: { a: { value: 5 } } })
  })
})

it('close commits what was read', async () => {
  const world = new World()
  const worker = await world.work({}, { INGEST_CHECKPOINT_MS: '5000' })
  await world.publish([{ a: 1 }])
  await vi.waitFor(() => expect(world.points.visible.size).toBe(1), PATIENCE)
  expect(world.log.committed).toEqual([0])
  await Promise.all([worker.close(), worker.close()])
  expect(world.log.committed).toEqual([1])
})
