import fc from 'fast-check'
import type { Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startPublishSink, type ReceivedPublish } from '../../servers/publish-sink.ts'
import { DEVICES, expected, payloadsOf, setUp, until } from './load-run-setup.ts'

describe.each([1, 2] as const)('QoS %i', (qos) => {
  it('sends each reading once, in order, and writes down every acknowledgement', async () => {
    const running = await setUp({ qos })
    const { run, ledger, received } = running
    await run.connect()
    run.start()
    await running.finished()
    for (let device = 0; device < DEVICES; device += 1) {
      expect(payloadsOf(received, device)).toEqual(expected(running, device))
      expect(ledger.length(device)).toBe(50)
    }
    expect(received.every((message) => message.qos === qos && !message.dup)).toBe(true)
    expect(ledger.acknowledged).toBe(150)
    expect(run.stats).toMatchObject({ sent: 150, acknowledged: 150, resent: 0, connectionsLost: 0, outOfOrder: 0 })
    expect(run.latency.count).toBe(150)
  })

  it('never has more in flight than allowed', async () => {
    const open = new Map<string, number>()
    const most = { open: 0 }
    const onPublish = ({ topic, id }: ReceivedPublish, socket: Socket) => {
      const count = (open.get(topic) ?? 0) + 1
      open.set(topic, count)
      most.open = Math.max(most.open, count)
      setImmediate(() => {
        open.set(topic, (open.get(topic) ?? 0) - 1)
        socket.write(Buffer.from([qos === 1 ? 0x40 : 0x50, 2, 0, id]))
      })
      return false
    }
    const running = await setUp({ qos, inflight: 4, sink: { onPublish } })
    await running.run.connect()
    running.run.start()
    await running.finished()
    expect(most.open).toBe(4)
  })

  it('resends what was not acknowledged, marked and in order, over any cuts', async () => {
    const cut = fc.record({ at: fc.nat(120), acknowledged: fc.boolean() })
    await fc.assert(
      fc.asyncProperty(fc.array(cut, { maxLength: 6 }), async (cuts) => {
        let count = 0
        const onPublish = (_message: ReceivedPublish, socket: Socket) => {
          count += 1
          const hit = cuts.find(({ at }) => at === count)
          if (hit === undefined) return true
          if (hit.acknowledged) socket.end()
          else socket.destroy()
          return hit.acknowledged
        }
        const running = await setUp({ qos, sink: { onPublish } })
        await running.run.connect()
        running.run.start()
        await running.finished()
        await running.run.close()
        for (let device = 0; device < DEVICES; device += 1) {
          const payloads = payloadsOf(running.received, device)
          expect([...new Set(payloads)]).toEqual(expected(running, device))
          const repeats = running.received.filter(({ topic }) => topic.startsWith(`t/a/d${device}/`))
          const seen = new Set<string>()
          for (const { payload, dup } of repeats) {
            if (seen.has(payload)) expect(dup).toBe(true)
            seen.add(payload)
          }
        }
        expect(running.ledger.acknowledged).toBe(150)
        expect(running.run.stats.outOfOrder).toBe(0)
      }),
      { numRuns: 15 },
    )
  })

  it('finds its broker again after a restart', async () => {
    const before = await setUp({ qos, sink: { onPublish: () => false } })
    await before.run.connect()
    before.run.start()
    await until(() => before.received.length === 12)
    await before.sink.close()
    const received: ReceivedPublish[] = []
    const after = await startPublishSink({
      port: before.sink.port,
      onPublish: (message) => void received.push(message),
    })
    onTestFinished(() => after.close())
    await before.finished()
    expect(new Set(payloadsOf(received, 2))).toEqual(new Set(expected(before, 2)))
    expect(before.run.stats).toMatchObject({ connectionsLost: 3, resent: 12, acknowledged: 150 })
  })
})

describe('QoS 2', () => {
  it('goes on with PUBREL where PUBREC had come', async () => {
    const released: number[] = []
    const onRelease = (id: number, socket: Socket) => {
      released.push(id)
      if (released.length === 1) socket.destroy()
      return released.length > 1
    }
    const running = await setUp({ qos: 2, inflight: 1, length: 1, sink: { onRelease } })
    await running.run.connect()
    running.run.start()
    await running.finished()
    expect(released.slice(0, 1)).toEqual([1])
    expect(released).toHaveLength(DEVICES + 1)
    expect(running.received).toHaveLength(DEVICES)
    expect(running.run.stats).toMatchObject({ acknowledged: 3, resent: 0, connectionsLost: 1 })
  })
})

describe('QoS 0', () => {
  it('sends everything once and waits for nothing', async () => {
    const running = await setUp({ qos: 0, length: 3000 })
    await running.run.connect()
    running.run.start()
    await until(() => running.received.length === 3000 * DEVICES)
    expect(payloadsOf(running.received, 1)).toEqual(expected(running, 1))
    expect(running.run.stats).toMatchObject({ sent: 9000, acknowledged: 0 })
    expect(running.ledger).toMatchObject({ sent: 9000, acknowledged: 0 })
  })
})
