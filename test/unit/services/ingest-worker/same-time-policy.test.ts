import { expect, it } from 'vitest'
import type { PolicyDocument } from '../../../../shared/policies/document.ts'
import { headersOf, headersOfSeveral, keyOfLogin } from '../../../../shared/record.ts'
import type { LogRecord } from '../../../../shared/telemetry.ts'
import { World } from './harness.ts'

const T = 1_769_860_800_000
/** Two of each kind, of a second without a fraction, and two numbers of a time between two of them. */
const READINGS = [
  { ts: T, n: 1, s: 'a', on: true },
  { ts: T, n: 2, s: 'b', on: false },
  { ts: T + 1500, n: 3 },
  { ts: T + 1500, n: 4 },
]

async function publish(world: World, stream: string): Promise<void> {
  const names = { tenant: 'demo', device: 'first', stream }
  const headers = headersOf(names, 'first', `t/demo/first/telemetry/${stream}`, world.registry.policies)
  await world.log.append(
    'telemetry.raw',
    READINGS.map((one): LogRecord => ({
      key: 'demo/first',
      value: Buffer.from(JSON.stringify(one)),
      ...now(),
      headers,
    })),
  )
}

async function publishForSeveral(world: World): Promise<void> {
  const headers = headersOfSeveral('demo', 't/demo/telemetry', world.registry.policies, 'gw')
  const value = Buffer.from(JSON.stringify({ first: READINGS }))
  await world.log.append('telemetry.raw', [{ key: keyOfLogin('demo', 'gw'), value, ...now(), headers }])
}

const now = () => ({ ms: T + 3_600_000, ns: 0 })

async function put(world: World, scope: string | undefined, document: PolicyDocument): Promise<void> {
  const from = (await world.registry.policies.read(scope))?.revision ?? 0
  await world.registry.policies.put({ scope, document, from, who: 'test' })
}

async function stored(world: World, stream: string): Promise<string[]> {
  await world.work()
  await world.settled()
  const prefix = `demo/first/${stream}/`
  return Array.from(world.points.visible, ([id, value]) => `${id.replace(prefix, '')} ${String(value)}`)
    .filter((line) => !line.startsWith('demo/'))
    .map((line) => line.replace(/@(\d+)/, (_all, ms) => `@${Number(ms) - T}`))
    .sort()
}

const ALL = [
  ...['n/float@0.0 1', 'n/float@0.1 2', 'n/float@1500.0 3', 'n/float@1500.1 4'],
  ...['on/boolean@0.0 true', 'on/boolean@0.1 false', 's/string@0.0 a', 's/string@0.1 b'],
]
const LAST = ['n/float@0.0 2', 'n/float@1500.0 4', 'on/boolean@0.0 false', 's/string@0.0 b']
const BY_KIND = [
  ...['n/float@0.0 2', 'n/float@1500.0 4'],
  ...['on/boolean@0.0 true', 'on/boolean@0.1 false', 's/string@0.0 a', 's/string@0.1 b'],
]

it('of a stream comes before that of the tenant, and that before the default', async () => {
  const world = new World()
  await put(world, undefined, { same_time: 'last' })
  await put(world, 'demo', {
    same_time: 'keep',
    streams: { last: { same_time: 'last' }, kind: { same_time: 'by_kind' } },
  })
  for (const stream of ['telemetry', 'last', 'kind']) await publish(world, stream)
  expect(await stored(world, 'telemetry')).toEqual(ALL)
  expect(await stored(world, 'last')).toEqual(LAST)
  expect(await stored(world, 'kind')).toEqual(BY_KIND)
  await put(world, 'demo', {})
  await publish(world, 'other')
  expect(await stored(world, 'other')).toEqual(LAST)
})

it('is by kind where nobody has said anything', async () => {
  const world = new World()
  await publish(world, 'telemetry')
  expect(await stored(world, 'telemetry')).toEqual(BY_KIND)
})

it('goes along with readings that are handed on', async () => {
  const world = new World()
  await publishForSeveral(world)
  expect(await stored(world, 'telemetry')).toEqual(BY_KIND)
  const kept = new World()
  await put(kept, 'demo', { same_time: 'keep' })
  await publishForSeveral(kept)
  expect(await stored(kept, 'telemetry')).toEqual(ALL)
})

it('leaves readings as they are that are stamped by their time of receipt', async () => {
  const world = new World()
  await put(world, 'demo', { same_time: 'keep' })
  const names = { tenant: 'demo', device: 'first', stream: 'telemetry' }
  const headers = headersOf(names, 'first', 't/demo/first/telemetry', world.registry.policies)
  const value = Buffer.from('[{"s":"a"},{"s":"a"},{"s":"b"}]')
  await world.log.append('telemetry.raw', [{ key: 'demo/first', value, ms: T, ns: 7, scheme: 1, headers }])
  expect(await stored(world, 'telemetry')).toEqual(['s/string@0.263 a', 's/string@0.519 b', 's/string@0.7 a'])
})
