import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Tally } from '../../../../services/broker/counters.ts'
import { Retained } from '../../../../services/broker/cluster/retained.ts'
import { connect } from '../../../mqtt-inbox.ts'
import { itKeepsSoMuch } from '../kept-cases.ts'
import { startNodes, type Nodes } from './nodes.ts'

describe('a node on Redis', () => {
  itKeepsSoMuch(async (settings) => (await startNodes()).start('one', settings))
})

/** Sum of the lengths, and number, of what is in the hashes whose names begin so. */
async function lengthsOf({ link }: Nodes, prefix: string): Promise<{ bytes: number; count: number }> {
  const names = (await link.run((redis) => redis.keys(`${prefix}*`))).filter((name) => name.includes('/'))
  const all = await Promise.all(names.map((name) => link.run((redis) => redis.hvalsBuffer(name))))
  const values = all.flat()
  return { bytes: values.reduce((sum, value) => sum + value.length, 0), count: values.length }
}

it('retained messages are counted as they are, whatever replaces and removes them', { timeout: 30_000 }, async () => {
  const nodes = await startNodes()
  const tally = new Tally()
  const retained = new Retained(nodes.link, tally)
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
        await retained.keep({
          topic: `t/a/${device}/${topic}`,
          payload,
          qos: 1,
          retain: true,
          expiresMs: undefined,
          properties,
        })
        const { bytes: one } = await lengthsOf(nodes, `sluice:retained:t/a/${device}`)
        expect(one).toBeLessThanOrEqual(256 * 1024)
      }
      const counted = await nodes.link.run((redis) => redis.mget('sluice:retained:count', 'sluice:retained:bytes'))
      const { bytes, count } = await lengthsOf(nodes, 'sluice:retained:')
      expect(counted.map(Number)).toEqual([count, bytes])
    }),
    { numRuns: 20 },
  )
  expect(tally.retainedDropped).toBeGreaterThan(0)
})

it('when 256 MiB are retained in all, nothing more is, but smaller ones in place of others', async () => {
  const nodes = await startNodes()
  const one = await nodes.start('one')
  const app = await connect(one.port, 'app')
  const retain = { qos: 1, retain: true } as const
  await app.client.publishAsync('house/door', 'open', retain)
  await nodes.link.run((redis) => redis.set('sluice:retained:bytes', 300 * 1024 * 1024))
  await app.client.publishAsync('house/gate', 'open', retain)
  await app.client.publishAsync('house/door', 'shut', retain)
  expect(await nodes.link.run((redis) => redis.hkeys('sluice:retained:elsewhere'))).toEqual(['house/door'])
  expect(await one.metric('sluice_broker_retained_dropped_total')).toBe(1)
  expect(await nodes.link.run((redis) => redis.get('sluice:retained:count'))).toBe('1')
})
