import { expect, it, vi } from 'vitest'
import { freshBucket, openInflux } from '../../contract/points-influx-harness.ts'
import { seriesOf, valuesOf } from '../../contract/points-harness.ts'
import { counter, World } from '../../unit/services/ingest-worker/harness.ts'
import { behindFaults, useInfluxdb } from './influx-harness.ts'
import { PATIENCE } from '../../patience.ts'

const server = useInfluxdb()
const T = 1_769_860_800_000
const series = seriesOf('float', { tenant: 'demo', device: 'first', field: 'n' })
const readings = Array.from({ length: 300 }, (_, n) => ({ ts: T + n, n }))

it('a token that is refused stops the worker, which says so, and goes on with the right one', async () => {
  let token = 'revoked'
  const { store } = await openInflux(server(), 'initial', { token: () => token })
  const world = new World()
  await world.publish([...readings, '{not JSON'])
  const worker = await world.work({ points: store })
  await vi.waitFor(() => expect(worker.status()).toMatchObject({ ok: false }), PATIENCE)
  expect(worker.status().detail).toContain('points: store_unauthorised')
  expect(await counter(worker.options, 'failing')).toBe(1)
  expect(world.log.committed).toEqual([0])
  expect(world.deadLetters()).toEqual([])
  token = server().token
  await world.settled()
  expect(worker.status()).toEqual({ ok: true })
  expect(await counter(worker.options, 'failing')).toBe(0)
  expect(await valuesOf(store, series)).toEqual(readings.map(({ n }) => n))
  expect(world.deadLetters()).toMatchObject([{ code: 'payload_not_json' }])
})

it('poison of several kinds in one record is one letter, with the fields of decoder and store; all else is stored', async () => {
  const { store } = await openInflux(server(), freshBucket(server()))
  // As somebody else may have written it.
  await store.write({ series: [{ ...series, type: 'string', plain: 'string' }], ms: [T], ns: [0], values: ['text'] })
  const world = new World()
  world.registry.types.set('demo/telemetry/k', 'integer')
  const poisoned = `[{"ts":${T + 1},"n":1,"m":1,"k":5.5,"a":[[1]],"_x":2,"values":{"time":3},"o":{"p":1e999,"q":7}},{"ts":"noon","m":5},{"ts":${T + 3},"m":3}]`
  await world.publish([poisoned, { ts: T + 2, m: 2 }])
  const worker = await world.work({ points: store })
  await world.settled()
  const letters = world.deadLetters()
  expect(letters).toMatchObject([{ stage: 'decode', source: { partition: 0, offset: 0 } }])
  expect(Buffer.from(letters[0]?.payload ?? []).toString()).toBe(poisoned)
  expect(letters[0]?.faults?.first.map(({ element, path, code }) => [element, path, code])).toEqual([
    [0, 'a', 'list_left_out'],
    [0, 'o.p', 'value_out_of_range'],
    [1, null, 'time_invalid'],
    [0, 'n', 'type_conflict'],
  ])
  expect(await counter(worker.options, 'faults_total')).toBe(4)
  expect(await counter(worker.options, 'dead_letters_total')).toBe(1)
  expect(await counter(worker.options, 'readings_total')).toBe(3)
  expect(await counter(worker.options, 'points_total')).toBe(7)
  expect(await valuesOf(store, { ...series, field: 'm' })).toEqual([1, 2, 3])
  expect(await valuesOf(store, { ...series, field: 'k' })).toEqual([5.5])
  expect(await valuesOf(store, { ...series, field: 'o.q' })).toEqual([7])
  expect(await valuesOf(store, { ...series, field: '_x' })).toEqual([2])
  expect(await valuesOf(store, { ...series, field: 'time' })).toEqual([3])
})

it('an outage of the server delays, and nothing is stored twice or lost', async () => {
  const { proxy, behind } = await behindFaults(server())
  const { store } = await openInflux(behind, freshBucket(server()))
  const world = new World(3)
  proxy.fail({ kind: 'drop-answer' }, { path: '/write', times: 2 })
  for (const key of ['demo/first', 'demo/second', 'demo/third']) await world.publish(readings, key)
  await world.work({ points: store })
  await world.settled()
  for (const device of ['first', 'second', 'third']) {
    expect(await valuesOf(store, { ...series, device })).toEqual(readings.map(({ n }) => n))
  }
  await proxy.met(2)
})
