import { expect, it, onTestFinished } from 'vitest'
import { parseCallCount } from '../../../load-tests/brokers/system-calls.ts'
import { WindowClient } from '../../../load-tests/brokers/window-client.ts'
import { startPublishSink } from '../../../load-tests/servers/publish-sink.ts'

it('counts the calls in a table of strace, without its sum', () => {
  const table = `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 61.54    0.000080           4        20         3 read
 38.46    0.000050           5        10           epoll_wait
  0.00    0.000000           0         1           pread64
------ ----------- ----------- --------- --------- ----------------
100.00    0.000130           4        31         3 total
`
  expect(parseCallCount(table)).toBe(31)
  expect(parseCallCount('')).toBe(0)
})

it.each([0, 1, 2] as const)('sends every message of its windows at QoS %i, each once', async (qos) => {
  const topics = new Set<string>()
  const ids: number[] = []
  const sink = await startPublishSink({ onPublish: ({ topic, id }) => void (topics.add(topic), ids.push(id)) })
  onTestFinished(() => sink.close())
  const client = await WindowClient.connect({ port: sink.port, qos, clients: 1, inFlight: 4, messages: 12 }, 7)
  await client.send(12)
  expect(sink.received).toBe(12)
  expect(topics).toEqual(new Set(['t/bench/7/telemetry']))
  const window = qos === 0 ? [0, 0, 0, 0] : [1, 2, 3, 4]
  expect(ids).toEqual([...window, ...window, ...window])
  sink.sockets.forEach((socket) => socket.end())
  await client.close()
})

it('does not wait for a broker that closes the connection', async () => {
  const sink = await startPublishSink({ onPublish: (_message, socket) => void socket.destroy() })
  onTestFinished(() => sink.close())
  const client = await WindowClient.connect({ port: sink.port, qos: 1, clients: 1, inFlight: 1, messages: 1 }, 1)
  await expect(client.send(1)).rejects.toThrow(/closed|ECONNRESET/)
})
