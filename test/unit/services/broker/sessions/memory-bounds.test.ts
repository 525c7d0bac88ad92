import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Tally } from '../../../../../services/broker/metrics.ts'
import type { WithProperties } from '../../../../../services/broker/sessions/payload-properties.ts'
import type { Persistence, Waiting } from '../../../../../services/broker/sessions/aedes-internals.ts'
import { limitPersistence } from '../../../../../services/broker/sessions/memory-bounds.ts'

it('messages that are kept for long are kept in memory of their own', async () => {
  const kept: WithProperties[] = []
  const keep = (packet: WithProperties): Promise<void> => Promise.resolve(void kept.push(packet))
  const nothing = (): Promise<void> => Promise.resolve()
  // The part of aedes' persistence that is called.
  const persistence = {
    ...{ storeRetained: keep, outgoingEnqueueCombi: (_: unknown, packet: WithProperties) => keep(packet) },
    ...{ outgoingClearMessageId: nothing, outgoingUpdate: nothing, incomingStorePacket: nothing },
  } as unknown as Persistence
  limitPersistence(persistence, new Tally())

  // Small buffers share a block.
  const packet = { topic: 't/a/1/status', qos: 1, payload: Buffer.from('on') }
  const properties = { bytes: Buffer.from('bytes'), expiresAt: 7 }
  await persistence.storeRetained({ ...packet, properties })
  await persistence.outgoingEnqueueCombi([{ clientId: 'a/1/c' }], packet)

  expect(packet.payload.buffer.byteLength).toBeGreaterThan(1_000)
  expect(kept).toEqual([{ ...packet, properties }, packet])
  for (const { payload, properties: own } of kept) {
    expect((payload as Buffer).buffer.byteLength).toBe(2)
    if (own !== undefined) expect(own.bytes.buffer.byteLength).toBe(5)
  }
})

it('of a message of QoS 2 that was taken only the id is kept', async () => {
  const { persistence, taken } = new Queue()
  limitPersistence(persistence, new Tally())
  const packet = { cmd: 'publish', topic: 't/a/1/status', messageId: 7, qos: 2, payload: Buffer.alloc(60_000) }
  await persistence.incomingStorePacket({ id: 'a/1/c' }, packet)
  expect(taken).toEqual([{ messageId: 7 }])
})

/** A queue as aedes keeps it, of one session. */
class Queue {
  waiting: Waiting[] = []
  /** Of QoS 2. */
  taken: unknown[] = []

  readonly persistence = {
    storeRetained: () => Promise.resolve(),
    incomingStorePacket: async (_: unknown, packet: unknown) => void this.taken.push(packet),
    outgoingEnqueueCombi: async (open: unknown[], packet: Waiting) => {
      if (open.length > 0) this.waiting.push({ ...packet })
    },
    outgoingUpdate: async (_: unknown, packet: Waiting) => {
      const sameId = (it: Waiting) => it.messageId === packet.messageId
      const at = this.waiting.findIndex(packet.cmd === 'pubrel' ? sameId : ({ topic }) => topic === packet.topic)
      this.waiting[at] = packet
    },
    outgoingClearMessageId: async (_: unknown, packet: Waiting) => {
      const at = this.waiting.findIndex(({ messageId }) => messageId === packet.messageId)
      return at < 0 ? undefined : this.waiting.splice(at, 1)[0]
    },
  } as unknown as Persistence
}

it('a session takes messages until it holds 4 MiB that are not acknowledged for good', async () => {
  const client = { id: 'a/1/p' }
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ bytes: fc.constantFrom(10, 500_000, 1_500_000), qos: fc.constantFrom(1, 2) }) },
    { weight: 2, arbitrary: fc.constantFrom('send' as const, 'receive' as const, 'acknowledge' as const) },
  )
  const run = async (steps: (typeof step extends fc.Arbitrary<infer S> ? S : never)[]): Promise<void> => {
    const queue = new Queue()
    const { persistence } = queue
    const tally = new Tally()
    limitPersistence(persistence, tally)
    const sizes = new Map<string, number>()
    const ids = new Map<number, string>()
    let number = 1_000
    let dropped = 0
    for (const it of steps) {
      number += 1
      if (typeof it === 'object') {
        const topic = String(number)
        const held = [...sizes.values()].reduce((sum, size) => sum + size, 0)
        if (held < 4 * 1024 * 1024) sizes.set(topic, it.bytes + 4)
        else dropped += 1
        const packet = { cmd: 'publish', topic, qos: it.qos, payload: Buffer.alloc(it.bytes) }
        await persistence.outgoingEnqueueCombi([{ clientId: client.id }], packet)
      } else if (it === 'send') {
        const packet = queue.waiting.find(({ messageId }) => messageId === undefined)
        if (packet?.topic === undefined) continue
        ids.set(number, packet.topic)
        await persistence.outgoingUpdate(client, { ...packet, messageId: number })
      } else {
        const packet = queue.waiting.find(({ messageId }) => messageId !== undefined)
        const { messageId, cmd, qos } = packet ?? {}
        if (messageId === undefined) continue
        if (it === 'receive' && qos === 2) await persistence.outgoingUpdate(client, { cmd: 'pubrel', messageId })
        if (it === 'receive' || (cmd !== 'pubrel' && qos === 2)) continue
        await persistence.outgoingClearMessageId(client, { messageId })
        sizes.delete(ids.get(messageId) ?? '')
      }
    }
    expect(tally.sessionMessagesDropped).toBe(dropped)
  }
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), run), { numRuns: 50 })
})
