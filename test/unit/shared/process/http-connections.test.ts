import { EventEmitter } from 'node:events'
import type { Server } from 'node:http'
import { expect, it } from 'vitest'
import { HttpConnections } from '../../../../shared/process/http-connections.ts'
import { createMetrics } from '../../../../shared/process/metrics.ts'

class FakeSocket extends EventEmitter {
  readonly remoteAddress: string
  isReset = false

  constructor(remoteAddress: string) {
    super()
    this.remoteAddress = remoteAddress
  }

  resetAndDestroy() {
    this.isReset = true
    this.emit('close')
  }

  setKeepAlive(): this {
    return this
  }
}

it('an address has so many connections and no more, a /64 counts as one, and loopback has no limit', () => {
  const server = new EventEmitter()
  const limits = { listener: 'http', connections: 100, perAddress: 2, requestMs: 1_000 } as const
  new HttpConnections(server as Server, limits, createMetrics({ defaults: false }))
  const arrive = (address: string) => {
    const socket = new FakeSocket(address)
    server.emit('connection', socket)
    return socket
  }
  const first = arrive('192.0.2.1')
  expect([arrive('::ffff:192.0.2.1').isReset, arrive('192.0.2.1').isReset]).toEqual([false, true])
  expect([arrive('2001:db8::1'), arrive('2001:db8::2'), arrive('2001:db8::3')].map((it) => it.isReset)).toEqual([
    ...[false, false, true],
  ])
  expect(['127.0.0.1', '127.0.0.1', '127.0.0.1', '192.0.2.2'].map((it) => arrive(it).isReset)).not.toContain(true)
  first.emit('close')
  expect([arrive('192.0.2.1').isReset, arrive('192.0.2.1').isReset]).toEqual([false, true])
})
