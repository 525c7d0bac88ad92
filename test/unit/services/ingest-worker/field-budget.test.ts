import { expect, it } from 'vitest'
import type { IngestWorkerOptions } from '../../../../services/ingest-worker/worker.ts'
import { FORGETFUL_FIELDS } from '../../../variants/forgetful-fields.ts'
import { World, counter } from './harness.ts'

const LIMITS = { INGEST_DEVICE_FIELDS: '20', INGEST_DEVICE_STREAMS: '3', INGEST_TENANT_FIELDS: '100' }

/** Readings of one known field and ten made-up ones each. */
const flood = (from: number, count: number) =>
  Array.from({ length: count }, (_unused, i): Record<string, number> => {
    const made = Array.from({ length: 10 }, (_unused, n): [string, number] => [`f${(from + i) * 10 + n}`, n])
    return { known: from + i, ...Object.fromEntries(made) }
  })

/** `stream/field` of what is stored of a device. */
function fieldsOf(world: World, key: string): Set<string> {
  const own = [...world.points.visible.keys()].filter((id) => id.startsWith(`${key}/`))
  return new Set(own.map((id) => id.split('/').slice(2, 4).join('/')))
}

it('stores the known fields of a device that makes up names, and refuses the names beyond its bound', async () => {
  const world = new World()
  const { options } = await world.work({}, LIMITS)
  await world.publish(flood(0, 50))
  await world.publish([{ temperature: 21 }], 'demo/honest')
  await world.settled()
  expect(fieldsOf(world, 'demo/first').size).toBe(20)
  expect([...world.points.visible.keys()].filter((id) => id.includes('/known/'))).toHaveLength(50)
  expect(fieldsOf(world, 'demo/honest')).toEqual(new Set(['telemetry/temperature']))
  const letters = world.deadLetters()
  // The second reading is the first that has one too many.
  expect(letters).toHaveLength(49)
  expect(letters[0]?.code).toBe('series_limit')
  expect(letters[0]?.detail).toContain('INGEST_DEVICE_FIELDS 20')
  expect(letters.at(-1)?.faults?.total).toBe(10)
  expect(await counter(options, 'faults_total')).toBe(50 * 10 - 19)
})

/** How many fields a device has after three starts with names that are new each time. */
async function afterRestarts(ports: (world: World) => Partial<IngestWorkerOptions>): Promise<number> {
  const world = new World()
  for (let start = 0; start < 3; start += 1) {
    const worker = await world.work(ports(world), LIMITS)
    await world.publish(flood(start * 10, 10))
    await world.settled()
    await worker.close()
  }
  return fieldsOf(world, 'demo/first').size
}

it('counts on after a restart', async () => {
  expect(await afterRestarts(() => ({}))).toBe(20)
})

it('would not if the count were of the process (known wrong)', async () => {
  const forget = ({ registry }: World) => {
    const { names, presence, policies, tombstones, declaredTypes, decoders, watches, admitDevice } = registry
    const pinFieldTypes = registry.pinFieldTypes.bind(registry)
    const state = { readStreams: registry.readStreams.bind(registry), writeState: registry.writeState.bind(registry) }
    const known = { names, presence, policies, tombstones, declaredTypes, decoders, watches, admitDevice }
    return { registry: { ...state, ...known, pinFieldTypes, fields: FORGETFUL_FIELDS } }
  }
  expect(await afterRestarts(forget)).toBeGreaterThan(20)
})

it('bounds the streams of a device, and the fields of a tenant', async () => {
  const world = new World()
  await world.work({}, LIMITS)
  for (let i = 0; i < 6; i += 1) await world.publish([{ x: 1 }], 'demo/first', `t/demo/first/telemetry/s${i}`)
  for (let device = 0; device < 8; device += 1) await world.publish(flood(0, 2), `demo/d${device}`)
  await world.publish([{ x: 1 }], 'other/first')
  await world.settled()
  expect(fieldsOf(world, 'demo/first')).toEqual(new Set(['s0/x', 's1/x', 's2/x']))
  const ids = [...world.points.visible.keys()].filter((id) => id.startsWith('demo/'))
  const fields = new Set(ids.map((id) => id.split('/').slice(0, 4).join('/')))
  expect(fields.size).toBe(100)
  expect(fieldsOf(world, 'other/first').size).toBe(1)
  const details = world.deadLetters().map(({ detail }) => detail)
  expect(details.some((one) => one.includes('INGEST_DEVICE_STREAMS 3'))).toBe(true)
  expect(details.some((one) => one.includes('INGEST_TENANT_FIELDS 100'))).toBe(true)
})

it('notes the device as one on which a limit acts', async () => {
  const world = new World()
  const worker = await world.work({}, LIMITS)
  await world.publish(flood(0, 5))
  await world.settled()
  await worker.close()
  expect(world.registry.limits).toMatchObject([
    { tenant: 'demo', device: 'first', code: 'fields', limit: 20, count: 31 },
  ])
})
