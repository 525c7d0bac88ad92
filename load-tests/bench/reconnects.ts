/**
 * A storm of quick reconnects over two broker nodes: every client connects, often goes before its CONNACK, and comes back
 * on the other node. At the end nothing may be left: connections, aedes' clients, and sessions in Redis are 0 (a
 * persistent session stays, without a node).
 *
 *   node load-tests/bench/reconnects.ts [reconnects [clients]]        24,000 by 600 unless given
 *
 * Prints one line of JSON; exit code 1 when something is left. Needs redis-server.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { DISCONNECT } from '../../shared/mqtt/client-packets.ts'
import { startRedis } from '../servers/redis.ts'
import { BrokerNode, connectToNode } from '../brokers/broker-node-process.ts'

/** What is left is looked at until it is nothing, so long. */
const SETTLE_MS = 20_000

const [reconnects = 24_000, clients = 600] = process.argv.slice(2).map(Number)
const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
const server = await startRedis(folder, 'sessions')
const redis = new Redis(server.url)
const nodes = await Promise.all(['one', 'two'].map((id) => BrokerNode.start(server.url, id)))
try {
  const startedAt = performance.now()
  const times = Math.ceil(reconnects / clients)
  await Promise.all(Array.from({ length: clients }, (_, client) => storm(client, times)))
  const seconds = Number(((performance.now() - startedAt) / 1000).toFixed(1))
  const left = await settled()
  console.log(JSON.stringify({ reconnects: times * clients, clients, seconds, left }))
  if (total(left) > 0) process.exitCode = 1
} finally {
  for (const node of nodes) await node.stop()
  redis.disconnect()
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
}

async function storm(client: number, times: number): Promise<void> {
  for (let n = 0; n < times; n += 1) await once(`a/${client}`, nodes[(client + n) % 2]?.port ?? 0, n)
}

/** One connection: it ends before, with or after the CONNACK, politely or not. */
function once(name: string, port: number, n: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' })
    const end = (): void => {
      if (n % 4 === 1) socket.end(DISCONNECT)
      else socket.destroy()
    }
    // A node that is behind may reset it: the next one comes anyway.
    socket.on('error', () => socket.destroy())
    socket.on('close', () => resolve())
    socket.write(connectToNode(name, n % 5 !== 0), () => {
      if (n % 3 === 0) end()
    })
    socket.on('data', end)
  })
}

interface Left {
  readonly connections: number
  readonly aedes: number
  readonly sessions: number
  readonly redis: number
}

async function settled(): Promise<Left> {
  const end = performance.now() + SETTLE_MS
  for (;;) {
    const left = await count()
    if (total(left) === 0 || performance.now() > end) return left
    await setTimeout(100)
  }
}

async function count(): Promise<Left> {
  const reports = await Promise.all(nodes.map((node) => node.report()))
  const sum = (of: (report: (typeof reports)[number]) => number): number => reports.reduce((all, it) => all + of(it), 0)
  const members = await Promise.all(['one', 'two'].map((id) => redis.scard(`sluice:clients:${id}`)))
  let live = 0
  const keys = await redis.keys('sluice:sessions:*')
  for (const key of keys) live += (await redis.hvals(key)).filter((record) => !record.endsWith(' p ')).length
  return {
    connections: sum(({ clients: open }) => open),
    aedes: sum(({ known }) => known),
    sessions: sum(({ sessions }) => sessions),
    redis: members.reduce((all, members) => all + members, 0) + live,
  }
}

function total({ connections, aedes, sessions, redis: records }: Left): number {
  return connections + aedes + sessions + records
}
