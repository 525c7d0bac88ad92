import type { Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { LoadRun } from '../../../services/simulator/load-run.ts'
import type { ReceivedPublish } from '../../../load-tests/servers/publish-sink.ts'
import { DEVICES, setUp, until } from './load-run-setup.ts'

describe('a broker that', () => {
  it('refuses a login ends the run', async () => {
    const { run } = await setUp({ qos: 1, sink: { connack: (id) => (id === 'a/d1' ? 5 : 0) } })
    await expect(run.connect()).rejects.toThrow(/^a\/d1: .* code 5$/)
  })

  it('is busy is asked again', async () => {
    let refusals = 0
    const running = await setUp({ qos: 1, sink: { connack: () => (refusals++ < 4 ? 3 : 0) } })
    await running.run.connect()
    expect(refusals).toBe(4 + DEVICES)
    expect(running.run.stats).toMatchObject({ online: DEVICES, connectionsLost: 0 })
  })

  it('acknowledges what was not sent is left, and found again', async () => {
    let wrong = 0
    const onPublish = ({ id }: ReceivedPublish, socket: Socket) => {
      if (wrong++ > 0) return true
      socket.write(Buffer.from([0x40, 2, 0, id + 40]))
      return false
    }
    const running = await setUp({ qos: 1, sink: { onPublish } })
    await running.run.connect()
    running.run.start()
    await running.finished()
    expect(running.run.lastTrouble).toContain('answered message')
    expect(running.run.stats).toMatchObject({ connectionsLost: 1, acknowledged: 150 })
  })

  it('acknowledges out of order is noticed', async () => {
    const held: { id: number; socket: Socket }[] = []
    const onPublish = ({ id }: ReceivedPublish, socket: Socket) => {
      held.push({ id, socket })
      if (held.length < 2 * DEVICES) return false
      for (const one of held.splice(0).reverse()) one.socket.write(Buffer.from([0x40, 2, 0, one.id]))
      return false
    }
    const running = await setUp({ qos: 1, inflight: 2, length: 2, sink: { onPublish } })
    await running.run.connect()
    running.run.start()
    await running.finished()
    expect(running.run.stats.outOfOrder).toBe(DEVICES)
  })
})

describe('the rate', () => {
  it('is kept over all devices, and what is late is counted', async () => {
    const { options, run } = await setUp({ qos: 1, sink: { onPublish: () => false } })
    await run.close()
    const paced = new LoadRun({ ...options, workload: { ...options.workload, length: Infinity }, rate: 1000 })
    onTestFinished(() => paced.close())
    await paced.connect()
    paced.start()
    await until(() => paced.stats.behind > 50)
    paced.stop()
    const { sent, behind } = paced.stats
    expect(sent).toBe(12)
    await paced.close()
    expect(paced.stats).toMatchObject({ sent, behind })
  })
})
