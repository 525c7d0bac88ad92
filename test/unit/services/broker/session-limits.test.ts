import { expect, it } from 'vitest'
import { Tally } from '../../../../services/broker/counters.ts'
import type { WithProperties } from '../../../../services/broker/message-properties.ts'
import { limitPersistence, type Persistence } from '../../../../services/broker/session-limits.ts'

it('messages that are kept for long are kept in memory of their own', async () => {
  const kept: WithProperties[] = []
  const keep = (packet: WithProperties): Promise<void> => Promise.resolve(void kept.push(packet))
  const nothing = (): Promise<void> => Promise.resolve()
  // The part of aedes' persistence that is called.
  const persistence = {
    ...{ storeRetained: keep, outgoingEnqueueCombi: (_: unknown, packet: WithProperties) => keep(packet) },
    ...{ outgoingClearMessageId: nothing, addSubscriptions: nothing, cleanSubscriptions: nothing },
  } as unknown as Persistence
  limitPersistence(persistence, new Tally(), nothing)

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
