/**
 * What a command costs when few and when many devices are connected and subscribed: CPU-seconds per thousand commands
 * of all broker nodes and of Redis. The devices share two nodes; the commands are published at QoS 1 on the first, to
 * devices of both in turn.
 *
 *   node load-tests/bench/commands.ts [devices ...]        200 and 20,000 unless given
 *
 * Needs redis-server; 20,000 devices need as many open files (`ulimit -n 65536`).
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startRedis } from '../../test/servers/redis.ts'
import { connectPacket, packet, text } from './broker-node-clients.ts'
import { BrokerNode } from './broker-node-process.ts'

const COMMANDS = 4_000
/** Commands without PUBACK at once. */
const WINDOW = 32
const CONNECTING = 200

const shapes = process.argv.slice(2).map(Number)
for (const devices of shapes.length > 0 ? shapes : [200, 20_000]) {
  console.log(JSON.stringify(await measure(devices)))
}

async function measure(devices: number) {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const redis = await startRedis(folder, 'sessions')
  const nodes = await Promise.all(['one', 'two'].map((id) => BrokerNode.start(redis.url, id)))
  const sockets: Socket[] = []
  let received = 0
  try {
    for (let from = 0; from < devices; from += CONNECTING) {
      const part = Array.from({ length: Math.min(CONNECTING, devices - from) }, (_, index) => from + index)
      const made = await Promise.all(
        part.map((n) => connectDevice(nodes[n % 2]?.port ?? 0, `a/${n}`, () => (received += 1))),
      )
      sockets.push(...made)
    }
    const before = await spent(nodes, redis.process.pid)
    const startedAt = performance.now()
    await publishCommands(nodes[0]?.port ?? 0, devices)
    while (received < COMMANDS && performance.now() - startedAt < 60_000)
      await new Promise((next) => setTimeout(next, 5))
    const seconds = (performance.now() - startedAt) / 1000
    const after = await spent(nodes, redis.process.pid)
    const per1000 = (now: number, then: number) => Number((((now - then) * 1000) / COMMANDS).toFixed(3))
    return {
      devices,
      received,
      seconds: Number(seconds.toFixed(1)),
      brokerCpuSecondsPer1000: per1000(after.brokers, before.brokers),
      redisCpuSecondsPer1000: per1000(after.redis, before.redis),
    }
  } finally {
    for (const socket of sockets) socket.destroy()
    for (const node of nodes) await node.stop()
    await redis.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function spent(nodes: readonly BrokerNode[], redisPid: number | undefined) {
  const reports = await Promise.all(nodes.map((node) => node.report()))
  const fields = readFileSync(`/proc/${redisPid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  // utime and stime, in hundredths of a second (proc(5)).
  const redis = (Number(fields[11]) + Number(fields[12])) / 100
  return { brokers: reports.reduce((sum, { cpu }) => sum + cpu, 0), redis }
}

/** Resolves when it is subscribed to its commands; acknowledges and counts each. */
function connectDevice(port: number, name: string, onCommand: () => void): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ port, host: '127.0.0.1' })
    socket.on('error', reject)
    socket.write(
      Buffer.concat([
        connectPacket(name),
        packet(0x82, Buffer.from([0, 1]), text(`t/${name}/cmd/#`), Buffer.from([1])),
      ]),
    )
    socket.on('data', (chunk: Buffer) => {
      for (let at = 0; at < chunk.length; at += 2 + (chunk[at + 1] ?? 0)) {
        const type = (chunk[at] ?? 0) >> 4
        if (type === 9) resolve(socket)
        if (type !== 3) continue
        const id = at + 4 + chunk.readUInt16BE(at + 2)
        socket.write(Buffer.from([0x40, 2, chunk[id] ?? 0, chunk[id + 1] ?? 0]))
        onCommand()
      }
    })
  })
}

/** Resolves when all are acknowledged. */
function publishCommands(port: number, devices: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ port, host: '127.0.0.1' })
    let sent = 0
    let acked = 0
    const send = (): void => {
      for (; sent < COMMANDS && sent - acked < WINDOW; sent += 1) {
        const id = (sent % 60_000) + 1
        const topic = text(`t/a/${(sent * 7919) % devices}/cmd/set`)
        socket.write(packet(0x32, topic, Buffer.from([id >> 8, id & 0xff]), Buffer.from(`{"value":${sent}}`)))
      }
    }
    socket.on('error', reject)
    socket.write(connectPacket('app'))
    socket.on('data', (chunk: Buffer) => {
      for (let at = 0; at < chunk.length; at += 2 + (chunk[at + 1] ?? 0)) if ((chunk[at] ?? 0) >> 4 === 4) acked += 1
      send()
      if (acked >= COMMANDS) {
        socket.end(Buffer.from([0xe0, 0]))
        resolve()
      }
    })
  })
}
