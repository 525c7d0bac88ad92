import { expect, it, onTestFinished, vi } from 'vitest'
import { KafkaClient } from '../../../../../shared/log/kafka/client.ts'
import { fetchRequest, listOffsetsRequest } from '../../../../../shared/log/kafka/requests.ts'
import { createLogger } from '../../../../../shared/process/logger.ts'
import { codeOf } from '../../../../contract/log-harness.ts'
import { REQUEST, startKafkaWire } from '../../../../fakes/kafka-wire.ts'
import { PATIENCE } from '../../../../patience.ts'

const fetching = () =>
  fetchRequest([{ topic: 't', partition: 0, offset: 0 }], { maxWaitMs: 1, maxBytes: 1, partitionBytes: 1 })
const asking = () => listOffsetsRequest('t', [0], -1)

const closeOnAsking = (key: number) => (key === REQUEST.listOffsets ? 'close' : 'answer')

function clientOf(broker: string, topics = ['t']): KafkaClient {
  const client = new KafkaClient({ clientId: 'test', brokers: [broker] }, topics, createLogger('silent'))
  onTestFinished(() => client.close())
  return client
}

/** Intervals that were set since and not cleared. */
function watchIntervals(): Set<unknown> {
  const running = new Set<unknown>()
  const { setInterval: set, clearInterval: clear } = globalThis
  vi.spyOn(globalThis, 'setInterval').mockImplementation((...args: Parameters<typeof set>) => {
    const timer = set(...args)
    running.add(timer)
    return timer
  })
  vi.spyOn(globalThis, 'clearInterval').mockImplementation((timer) => {
    running.delete(timer)
    clear(timer)
  })
  onTestFinished(() => void vi.restoreAllMocks())
  return running
}

it('leaves no connection behind when it is closed while it waits for the first answer', async () => {
  const broker = await startKafkaWire('127.0.0.1', () => 'hold')
  const client = clientOf(`127.0.0.1:${broker.port}`)
  const asked = codeOf(client.atCoordinator('group', async () => undefined))
  await broker.asked(REQUEST.apiVersions)
  await client.close()
  expect(await asked).toBe('closed')
  await vi.waitUntil(() => broker.sockets.size === 0, PATIENCE)
})

it('leaves no connection behind when it is closed while it waits for an answer', async () => {
  const broker = await startKafkaWire('127.0.0.1', () => 'answer')
  const client = clientOf(`127.0.0.1:${broker.port}`)
  const asked = codeOf(client.send(1, fetching()))
  await broker.asked(REQUEST.fetch)
  await client.close()
  expect(await asked).toBe('closed')
  await vi.waitUntil(() => broker.sockets.size === 0, PATIENCE)
})

it('gives all connections to a broker up when it drops one: they do not add up', async () => {
  const broker = await startKafkaWire('127.0.0.1', closeOnAsking)
  const client = clientOf(`127.0.0.1:${broker.port}`)
  const most: number[] = []
  for (let round = 0; round < 5; round++) {
    const fetched = codeOf(client.send(1, fetching()))
    await broker.asked(REQUEST.fetch)
    most.push(broker.sockets.size)
    expect(await codeOf(client.send(1, asking()))).toBe('log_unavailable')
    // The other connection ends with it: nothing was to come there either.
    expect(await fetched).toBe('log_unavailable')
    await client.refresh()
  }
  expect(Math.max(...most)).toBeLessThanOrEqual((most[0] ?? 0) + 1)
})

it('closed after a connection was dropped, it keeps neither socket nor timer: the process can end', async () => {
  const intervals = watchIntervals()
  const broker = await startKafkaWire('127.0.0.1', closeOnAsking)
  const client = clientOf(`127.0.0.1:${broker.port}`)
  const fetched = codeOf(client.send(1, fetching()))
  await broker.asked(REQUEST.fetch)
  expect(await codeOf(client.send(1, asking()))).toBe('log_unavailable')
  await client.close()
  await fetched
  await vi.waitUntil(() => broker.sockets.size === 0, PATIENCE)
  expect(intervals.size).toBe(0)
})

it('finds a broker at an IPv6 address in brackets', async () => {
  const broker = await startKafkaWire('::1', () => 'answer')
  const client = clientOf(`[::1]:${broker.port}`)
  expect(await client.leaderOf('t', 0)).toBe(1)
  const fetched = codeOf(client.send(1, fetching()))
  await broker.asked(REQUEST.fetch)
  await client.close()
  expect(await fetched).toBe('closed')
})
