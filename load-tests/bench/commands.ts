/**
 * What a command costs when few and when many devices are connected and subscribed: CPU-seconds per thousand commands
 * of all broker nodes and of Redis. The devices share two nodes; the commands are published at QoS 1 on the first, to
 * devices of both in turn.
 *
 *   node load-tests/bench/commands.ts [devices ...]        200 and 20,000 unless given
 *
 * Needs redis-server, and half as many open files for a process as there are devices (`ulimit -n`).
 */
import { fork, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DISCONNECT, publishPacket } from '../../shared/mqtt/client-packets.ts'
import { startRedis } from '../servers/redis.ts'
import { BrokerNode, connectToNode } from '../brokers/broker-node-process.ts'
import type { DeviceRange, DeviceReport } from '../brokers/command-devices.ts'

const COMMANDS = 4_000
/** Commands without PUBACK at once. */
const WINDOW = 32
/** Processes that the devices share. */
const DEVICE_PROCESSES = 2

const shapes = process.argv.slice(2).map(Number)
for (const devices of shapes.length > 0 ? shapes : [200, 20_000]) {
  console.log(JSON.stringify(await measure(devices)))
}

async function measure(devices: number) {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const redis = await startRedis(folder, 'sessions')
  const nodes = await Promise.all(['one', 'two'].map((id) => BrokerNode.start(redis.url, id)))
  const fleet: Awaited<ReturnType<typeof startDevices>>[] = []
  const received = (): number => fleet.reduce((sum, part) => sum + part.received(), 0)
  try {
    const ports = nodes.map(({ port }) => port)
    const count = Math.ceil(devices / DEVICE_PROCESSES)
    for (let from = 0; from < devices; from += count) {
      fleet.push(await startDevices({ ports, from, count: Math.min(count, devices - from) }))
    }
    const before = await spent(nodes, redis.process.pid)
    const startedAt = performance.now()
    await publishCommands(nodes[0]?.port ?? 0, devices)
    while (received() < COMMANDS && performance.now() - startedAt < 60_000)
      await new Promise((next) => setTimeout(next, 5))
    const seconds = (performance.now() - startedAt) / 1000
    const after = await spent(nodes, redis.process.pid)
    const per1000 = (now: number, then: number) => Number((((now - then) * 1000) / COMMANDS).toFixed(3))
    return {
      devices,
      received: received(),
      seconds: Number(seconds.toFixed(1)),
      brokerCpuSecondsPer1000: per1000(after.brokers, before.brokers),
      redisCpuSecondsPer1000: per1000(after.redis, before.redis),
    }
  } finally {
    for (const part of fleet) part.process.kill('SIGKILL')
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

/** Devices of a process of their own; resolves when all are subscribed. */
async function startDevices(range: DeviceRange): Promise<{ process: ChildProcess; received: () => number }> {
  const child = fork(join(import.meta.dirname, '../brokers/command-devices.ts'))
  let received = 0
  const subscribed = Promise.withResolvers<void>()
  child.on('message', (report: DeviceReport) => {
    if (report === 'subscribed') subscribed.resolve()
    else received = report
  })
  child.once('exit', () => subscribed.reject(new Error('the devices ended')))
  child.send(range)
  await subscribed.promise
  return { process: child, received: () => received }
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
        const topic = `t/a/${(sent * 7919) % devices}/cmd/set`
        socket.write(publishPacket(topic, `{"value":${sent}}`, { qos: 1, id }))
      }
    }
    socket.on('error', reject)
    socket.write(connectToNode('app'))
    socket.on('data', (chunk: Buffer) => {
      for (let at = 0; at < chunk.length; at += 2 + (chunk[at + 1] ?? 0)) if ((chunk[at] ?? 0) >> 4 === 4) acked += 1
      send()
      if (acked >= COMMANDS) {
        socket.end(DISCONNECT)
        resolve()
      }
    })
  })
}
