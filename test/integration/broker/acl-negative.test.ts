import { describe, expect, it, onTestFinished } from 'vitest'
import { FakeLog, FakeRegistry } from '../../broker-harness.ts'
import { ALLOW_EVERYTHING } from '../../variants/allow-everything-broker.ts'
import { startBareAedes } from '../../variants/bare-aedes.ts'
import type { Version } from '../../mqtt/packets.ts'
import type { Way } from '../../mqtt/way.ts'
import { everyListener } from './acl/listeners.ts'
import { LOGINS } from './acl/logins.ts'
import { READING } from './acl/reading.ts'
import { REVOCATION } from './acl/revocation.ts'
import { Stage, type AclCase, type Breaches, type Place } from './acl/stage.ts'
import { VERSION_FIVE } from './acl/version-five.ts'
import { WRITING } from './acl/writing.ts'

// Known holes of MQTT brokers, each tried on every listener and in both versions: what is true of one listener must be
// true of all (CVE-2018-20145: rules that did not hold on the listener that was there by default).
const CASES = [...READING, ...WRITING, ...LOGINS, ...REVOCATION].map((hole) => [hole.name, hole] as const)

const VERSIONS: readonly Version[] = [4, 5]

/** The breaches of each way; ways without any are not in it. */
async function tryAll({ attack }: AclCase, place: Place, ways: readonly Way[], versions = VERSIONS) {
  const breaches: Record<string, Breaches> = {}
  for (const way of ways) {
    for (const version of versions) {
      const stage = new Stage(place, way, version)
      const found = await attack(stage)
      if (found.length > 0) breaches[stage.run] = found
    }
  }
  return breaches
}

it('are many, each with a name of its own', () => {
  expect(new Set(CASES.map(([name]) => name)).size).toBe(CASES.length)
  expect(CASES.length).toBeGreaterThan(150)
})

describe('on every listener, in both versions', () => {
  it.each(CASES)('%s', async (_name, hole) => {
    const place = await everyListener()
    expect(await tryAll(hole, place, place.ways)).toEqual({})
  })
})

describe('an authorizer that allows everything is seen on every listener, in both versions', () => {
  it.each(CASES.filter(([, { guard }]) => guard === 'rules'))('%s', async (_name, hole) => {
    const place = await everyListener(ALLOW_EVERYTHING)
    expect(Object.keys(await tryAll(hole, place, place.ways))).toHaveLength(place.ways.length * VERSIONS.length)
  })
})

describe('in MQTT 5, on every listener', () => {
  it.each(VERSION_FIVE.map((hole) => [hole.name, hole] as const))('%s', async (_name, hole) => {
    const place = await everyListener()
    expect(await tryAll(hole, place, place.ways, [5])).toEqual({})
    const open = await everyListener(ALLOW_EVERYTHING)
    expect(Object.keys(await tryAll(hole, open, open.ways, [5])), 'with everything allowed').toHaveLength(4)
  })
})

describe('aedes alone has', () => {
  it.each(CASES)('%s', async (_name, hole) => {
    const aedes = await startBareAedes()
    onTestFinished(() => aedes.close())
    const place = { registry: new FakeRegistry(), log: new FakeLog() }
    expect(await tryAll(hole, place, [{ kind: 'tcp', port: aedes.port }], [4])).not.toEqual({})
  })
})
