import fc from 'fast-check'
import { expect, it } from 'vitest'
import * as acl from '../../../shared/acl.ts'
import type { AclRule, Principal } from '../../../shared/registry/port.ts'
import { matches } from '../../../shared/topic-filter.ts'
import { ALLOW_EVERYTHING } from '../../variants/allow-everything-broker.ts'
import type { PacketClient } from '../../mqtt/packet-client.ts'
import { everyListener } from './acl/listeners.ts'
import { Stage } from './acl/stage.ts'

// The rules are pure functions with tests of their own; here is shown that the broker, whatever the listener and the
// version, does what they say: who subscribes, who gets what, retained or not, before and after a change of the rules.

const FILTER = fc
  .tuple(fc.array(fc.constantFrom('a', 'b', '$s', '+'), { minLength: 1, maxLength: 3 }), fc.boolean())
  .map(([levels, hash]) => [...levels, ...(hash ? ['#'] : [])].join('/'))
const RULE = fc
  .tuple(fc.constantFrom('allow', 'allow', 'deny'), fc.constantFrom('publish', 'subscribe'), FILTER)
  .map((parts) => parts.join(' '))
const RULES = fc.array(RULE, { maxLength: 6 })
const TOPICS = ['a', 'b', 'z', '$s'].flatMap((x) => [x, ...['a', 'z'].flatMap((y) => [`${x}/${y}`, `${x}/${y}/b`])])

/** In both versions and on every listener, by turns. */
const ROUNDS = 96

function application(rules: readonly string[]): Principal {
  const parsed = rules.map((text): AclRule => {
    const [effect, action, topic = ''] = text.split(' ')
    return {
      effect: effect === 'deny' ? 'deny' : 'allow',
      action: action === 'publish' ? 'publish' : 'subscribe',
      topic,
    }
  })
  return { kind: 'application', name: 'intruder', rules: parsed }
}

function topicsOf(client: PacketClient, payload: string): string[] {
  const own = client.messages.filter((message) => message.payload.toString() === payload)
  return [...new Set(own.map(({ topic }) => topic))].toSorted()
}

interface Round {
  readonly before: readonly string[]
  readonly after: readonly string[]
  readonly filters: readonly string[]
}

/** What the broker did in a round, and what the rules say. */
async function play(stage: Stage, number: number, { before, after, filters }: Round) {
  const [first, second] = [application(before), application(after)]
  const granted = filters.filter((filter) => acl.canSubscribe(first, filter))
  const wanted = TOPICS.filter((topic) => granted.some((filter) => matches(filter, topic))).toSorted()
  const says = {
    granted,
    kept: wanted.filter((topic) => acl.canReceive(first, topic)),
    live: wanted.filter((topic) => acl.canReceive(second, topic)),
    published: TOPICS.filter((topic) => acl.canPublish(second, topic)).toSorted(),
  }
  const admin = await stage.admin()
  await admin.subscribe(['#', 1])
  for (const topic of TOPICS) await admin.publish(topic, `kept ${number}`, true)
  const client = await stage.client(stage.application(...before))
  const codes = (await client.subscribe(...filters.map((filter): [string, 1] => [filter, 1]))) ?? []
  // Retained messages come a while after SUBACK.
  const kept = (): string[] => topicsOf(client, `kept ${number}`)
  for (let turn = 0; turn === 0 || (turn < 50 && kept().length < says.kept.length); turn += 1) await stage.fence(client)
  await stage.changeRules(...after)
  for (const topic of TOPICS) await admin.publish(topic, `live ${number}`)
  for (const topic of TOPICS) await client.publish(topic, `own ${number}`)
  await stage.fence(client)
  await stage.fence(admin)
  const did = {
    granted: filters.filter((_filter, index) => (codes[index] ?? 0x80) < 0x80),
    kept: kept(),
    live: topicsOf(client, `live ${number}`),
    published: topicsOf(admin, `own ${number}`),
  }
  client.drop()
  return { did, says }
}

const ROUND = fc.record({
  before: RULES,
  after: RULES,
  filters: fc.uniqueArray(FILTER, { minLength: 1, maxLength: 4 }),
})

it('does what the rules say, on every listener and in both versions', async () => {
  const place = await everyListener()
  let number = 0
  const check = fc.asyncProperty(ROUND, async (round) => {
    number += 1
    const way = place.ways[number % place.ways.length]
    if (way === undefined) throw new Error('no listener')
    const { did, says } = await play(new Stage(place, way, number % 8 < 4 ? 4 : 5), number, round)
    expect(did).toEqual(says)
  })
  await fc.assert(check, { numRuns: ROUNDS })
})

it('is seen to differ when the authorizer allows everything', async () => {
  const place = await everyListener(ALLOW_EVERYTHING)
  const [way] = place.ways
  if (way === undefined) throw new Error('no listener')
  const round = {
    before: ['allow subscribe a/#'],
    after: ['deny subscribe a/b', 'allow subscribe a/#'],
    filters: ['#'],
  }
  const { did, says } = await play(new Stage(place, way, 4), 1, round)
  expect(says).toEqual({ granted: [], kept: [], live: [], published: [] })
  for (const deed of Object.values(did)) expect(deed).not.toEqual([])
})
