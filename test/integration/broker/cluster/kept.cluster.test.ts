import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Tally } from '../../../../services/broker/metrics.ts'
import { encodeMessage } from '../../../../shared/sessions/message.ts'
import { PUBLISH } from '../../../../services/broker/cluster/publish-script.ts'
import { readQueue } from '../../../../services/broker/cluster/stored-queue.ts'
import { Retained } from '../../../../services/broker/cluster/retained.ts'
import { ACKNOWLEDGE, CLAIM } from '../../../../services/broker/cluster/scripts.ts'
import { itKeepsSoMuch } from '../kept-cases.ts'
import { connectJs } from '../../../mqtt/mqtt-js.ts'
import { startNodes, type Nodes } from './nodes.ts'

describe('a node on Redis', () => {
  itKeepsSoMuch(async (settings) => (await startNodes()).start('one', settings))
})

it('what a session keeps is counted as it is, whatever comes and goes', async () => {
  const { link } = await startNodes()
  const id = 'app//p'
  const claim = async (isNew: '0' | '1' = '0'): Promise<string> => {
    const answer = await link.eval(CLAIM, 'app', id, 'p', 'one', '0', 100, isNew)
    return Array.isArray(answer) ? String(answer[0]) : ''
  }
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ keep: fc.constantFrom(1, 50_000, 2_000_000), expired: fc.boolean() }) },
    { weight: 3, arbitrary: fc.record({ acknowledge: fc.nat({ max: 9 }) }) },
    fc.constantFrom('read' as const, 'begin anew' as const),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      let epoch = await claim()
      for (const it of steps) {
        if (it === 'begin anew') epoch = await claim('1')
        else if (it === 'read') for await (const _ of readQueue(link, id, new Set()));
        else if ('acknowledge' in it) {
          const numbers = await link.run((redis) => redis.hkeys(`sluice:queue:${id}`))
          await link.eval(ACKNOWLEDGE, 'app', id, epoch, numbers[it.acknowledge] ?? 'unknown')
        } else {
          const payload = Buffer.alloc(it.keep)
          const expiresMs = it.expired ? 1 : undefined
          const message = encodeMessage({
            topic: 'x',
            payload,
            qos: 1,
            retain: false,
            expiresMs,
            properties: undefined,
          })
          await link.eval(PUBLISH, 'one', '', 'x', 1, '0', message, 1, 0, id)
        }
        const bytes = Number(await link.run((redis) => redis.eval(SUM, 1, `sluice:queue:${id}`)))
        expect(await link.run((redis) => redis.get(`sluice:bytes:${id}`))).toBe(bytes === 0 ? null : String(bytes))
        expect(bytes).toBeLessThan(4 * 1024 * 1024 + 2_001_000)
      }
    }),
    { numRuns: 20 },
  )
})

it('a clean session that is taken from a node that does not answer is no way to one more persistent session', async () => {
  const { link } = await startNodes()
  const claim = (id: string, kind: 'c' | 'p', node: string) => link.eval(CLAIM, 'a/1', id, kind, node, '1', 1)
  await claim('a/1/p', 'p', 'one')
  await claim('a/1/c', 'c', 'one')
  expect(await claim('a/1/c', 'p', 'two')).toEqual([-1, ''])
  expect(await claim('a/1/p', 'p', 'two')).toEqual([3, 'one', 1, '1', []])
})

/** Of the lengths of what is in a hash. */
const SUM = `
local sum = 0
for _, value in ipairs(redis.call('HVALS', KEYS[1])) do sum = sum + #value end
return sum`

/** Sum of the lengths, and number, of what is in the hashes whose names begin so. */
async function lengthsOf({ link }: Nodes, prefix: string): Promise<{ bytes: number; count: number }> {
  const names = (await link.run((redis) => redis.keys(`${prefix}*`))).filter((name) => name.includes('/'))
  const all = await Promise.all(names.map((name) => link.run((redis) => redis.hvalsBuffer(name))))
  const values = all.flat()
  return { bytes: values.reduce((sum, value) => sum + value.length, 0), count: values.length }
}

it('retained messages are counted as they are, whatever replaces and removes them', async () => {
  const nodes = await startNodes()
  let dropped = 0
  const retained = new Retained(nodes.link, new Tally())
  const step = fc.record({
    device: fc.nat({ max: 2 }),
    topic: fc.nat({ max: 5 }),
    bytes: fc.constantFrom(0, 0, 1, 50_000, 100_000, 200_000),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      for (const { device, topic, bytes } of steps) {
        const payload = Buffer.alloc(bytes, 'x')
        const properties = undefined
        const isKept = await retained.keep({
          topic: `t/a/${device}/${topic}`,
          payload,
          qos: 1,
          retain: true,
          expiresMs: undefined,
          properties,
        })
        if (!isKept) dropped += 1
        const { bytes: one } = await lengthsOf(nodes, `sluice:retained:t/a/${device}`)
        expect(one).toBeLessThanOrEqual(256 * 1024)
      }
      const counted = await nodes.link.run((redis) => redis.mget('sluice:retained:count', 'sluice:retained:bytes'))
      const { bytes, count } = await lengthsOf(nodes, 'sluice:retained:')
      expect(counted.map(Number)).toEqual([count, bytes])
    }),
    { numRuns: 20 },
  )
  expect(dropped).toBeGreaterThan(0)
})

it('when 256 MiB are retained in all, nothing more is, but smaller ones in place of others', async () => {
  const nodes = await startNodes()
  const one = await nodes.start('one')
  const app = await connectJs(one.port, { username: 'app' })
  const retain = { qos: 1, retain: true } as const
  await app.client.publishAsync('house/door', 'open', retain)
  await nodes.link.run((redis) => redis.set('sluice:retained:bytes', 300 * 1024 * 1024))
  await app.client.publishAsync('house/gate', 'open', retain)
  await app.client.publishAsync('house/door', 'shut', retain)
  expect(await nodes.link.run((redis) => redis.hkeys('sluice:retained:elsewhere'))).toEqual(['house/door'])
  expect(await one.metric('sluice_broker_retained_dropped_total')).toBe(1)
  expect(await nodes.link.run((redis) => redis.get('sluice:retained:count'))).toBe('1')
})
