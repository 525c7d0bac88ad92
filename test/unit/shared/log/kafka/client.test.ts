import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { expect, it, onTestFinished, vi } from 'vitest'
import { KafkaClient } from '../../../../../shared/log/kafka/client.ts'
import { createLogger } from '../../../../../shared/logger.ts'
import { codeOf } from '../../../../contract/log-harness.ts'

it('leaves no connection behind when it is closed while it waits for an answer', async () => {
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket)
    socket.on('error', () => undefined).on('close', () => open.delete(socket))
    // Read, and never answered.
    socket.resume()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const client = new KafkaClient({ clientId: 'test', brokers: [`127.0.0.1:${port}`] }, [], createLogger('silent'))
  const asked = codeOf(client.atCoordinator('group', async () => undefined))
  await once(server, 'connection')
  await client.close()
  expect(await asked).toBe('closed')
  await vi.waitUntil(() => open.size === 0)
})
