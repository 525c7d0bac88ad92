import fc from 'fast-check'
import type { Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startPublishSink, type ReceivedPublish } from '../../../load-tests/servers/publish-sink.ts'
import { DEVICES, expected, payloadsOf, setUp, until, type Running } from './load-run-setup.ts'

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
    const cut = fc.record({ at: fc.nat(120), how: fc.constantFrom('reset', 'half an answer', 'answered') })
    await fc.assert(
      fc.asyncProperty(fc.array(cut, { maxLength: 6 }), async (cuts) => {
        const byConnection = new Map<Socket, string[]>()
        let count = 0
        const onPublish = ({ id, payload }: ReceivedPublish, socket: Socket) => {
          byConnection.set(socket, [...(byConnection.get(socket) ?? []), payload])
          count += 1
          const how = cuts.find(({ at }) => at === count)?.how
          // One by one, so that identifiers are freed out of step with the window.
          const answer = Buffer.from([qos === 1 ? 0x40 : 0x50, 2, 0, id])
          if (how === 'reset') socket.destroy()
          else if (how === 'half an answer') socket.end(answer.subarray(0, 3))
          else if (!socket.writableEnded) socket.write(answer)
          if (how === 'answered') socket.end()
          return false
        }
        const running = await setUp({ qos, sink: { onPublish } })
        await running.run.connect()
        running.run.start()
        await running.finished()
        await running.run.close()
        for (let device = 0; device < DEVICES; device += 1) expectAllInOrder(running, device)
        for (const payloads of byConnection.values()) expect(payloads).toEqual([...payloads].sort(bySequence))
        expect(running.ledger.acknowledged).toBe(150)
        expect(running.run.stats.outOfOrder).toBe(0)
        expect(running.run.lastTrouble ?? '').not.toContain('answered message')
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

/** First copies are complete and in order, and only repeats are marked. */
function expectAllInOrder(running: Running, device: number): void {
  expect([...new Set(payloadsOf(running.received, device))]).toEqual(expected(running, device))
  const seen = new Set<string>()
  for (const { topic, payload, dup } of running.received) {
    if (!topic.startsWith(`t/a/d${device}/`)) continue
    if (seen.has(payload)) expect(dup).toBe(true)
    seen.add(payload)
  }
}

function bySequence(a: string, b: string): number {
  return (JSON.parse(a) as { seq: number }).seq - (JSON.parse(b) as { seq: number }).seq
}

describe('QoS 2', () => {
  it('forgets half-made answers of a connection that went', async () => {
    const released: number[] = []
    let spoilt = false
    const onPublish = ({ id }: ReceivedPublish, socket: Socket) => {
      if (spoilt) return true
      spoilt = true
      // PUBREC, and in the same segment a packet that no broker may send.
      socket.write(Buffer.from([0x50, 2, 0, id, 0x30, 0]))
      return false
    }
    const onRelease = (id: number) => void released.push(id)
    const running = await setUp({ qos: 2, inflight: 1, length: 1, sink: { onPublish, onRelease } })
    await running.run.connect()
    running.run.start()
    await running.finished()
    expect(released).toHaveLength(DEVICES)
    expect(running.run.stats).toMatchObject({ acknowledged: 3, resent: 0, connectionsLost: 1 })
  })

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
